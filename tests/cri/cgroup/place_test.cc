// SPDX-License-Identifier: Apache-2.0
#include "cri/cgroup/place.h"

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;

constexpr auto kBad = absl::StatusCode::kInvalidArgument;

Config::Cgroup Driver(const std::string& driver) {
  Config::Cgroup config;
  config.driver = driver;
  return config;
}

TEST(CgroupPlaceTest, WithCgroupfsAGroupIsADirectoryOfItsParents) {
  const Config::Cgroup config = Driver("cgroupfs");
  EXPECT_EQ(*CgroupPath(config, "/kubepods/burstable/podU", "abc"),
            "/kubepods/burstable/podU/abc");
  EXPECT_EQ(*CgroupPath(config, "", "abc"), "/serai/abc");
  EXPECT_EQ(CgroupBeside("/kubepods/podU/abc", "def"), "/kubepods/podU/def");
  EXPECT_EQ(CgroupsPathOf("/kubepods/podU/abc"), "/kubepods/podU/abc");
  EXPECT_FALSE(IsScope("/kubepods/podU/abc"));
}

TEST(CgroupPlaceTest, WithSystemdAGroupIsAScopeOfItsSlice) {
  const Config::Cgroup config = Driver("systemd");
  const std::string path =
      "/kubepods.slice/kubepods-podU.slice/serai-abc.scope";
  EXPECT_EQ(*CgroupPath(config, "kubepods-podU.slice", "abc"), path);
  // As kubelet gives it when it has a root of its own.
  EXPECT_EQ(*CgroupPath(config, "/kubepods.slice/kubepods-podU.slice", "abc"),
            path);
  EXPECT_EQ(*CgroupPath(config, "", "abc"), "/serai.slice/serai-abc.scope");
  EXPECT_TRUE(IsScope(path));
  EXPECT_EQ(CgroupBeside(path, "def"),
            "/kubepods.slice/kubepods-podU.slice/serai-def.scope");
  EXPECT_EQ(CgroupsPathOf(path), "kubepods-podU.slice:serai:abc");
}

TEST(CgroupPlaceTest, AParentOfTheOtherDriverIsRefused) {
  EXPECT_THAT(CgroupPath(Driver("cgroupfs"), "kubepods-podU.slice", "abc"),
              HasStatus(kBad,
                        "\"kubepods-podU.slice\" is no path: seraid's "
                        "[cgroup] driver is \"cgroupfs\""));
  EXPECT_THAT(CgroupPath(Driver("systemd"), "/kubepods/podU", "abc"),
              HasStatus(kBad, "is no slice"));
  EXPECT_FALSE(CgroupPath(Driver("systemd"), "a--b.slice", "abc").ok());
  EXPECT_FALSE(CgroupPath(Driver("systemd"), "/../x.slice/..", "abc").ok());
}

}  // namespace
}  // namespace serai::cri
