// SPDX-License-Identifier: Apache-2.0
// Records of every version there was stay readable: records/vN holds what the
// first seraid of that version wrote, and is never changed.
#include "cri/state/format.h"

#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_replace.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  return ReadFile(JoinPath(SERAI_SOURCE_DIR "/tests/cri/state/records", name),
                  1 << 20)
      .value_or("(no such file)");
}

std::string OfVersion(absl::string_view text, int version) {
  return absl::StrReplaceAll(
      text, {{"\"version\": 1", absl::StrCat("\"version\": ", version)}});
}

TEST(FormatTest, APodOfTheFirstVersionIsRead) {
  PodRecord pod;
  ASSERT_OK(ParseRecord(Golden("v1/pod.json"), pod));
  EXPECT_EQ(pod.version(), kRecordVersion);
  EXPECT_EQ(pod.id().substr(0, 8), "0f7c1c2f");
  EXPECT_TRUE(pod.committed());
  EXPECT_TRUE(pod.stopped());
  EXPECT_EQ(PodName(pod.config()),
            "web_default_5b0c9d6e-7f0a-4f0b-9d55-2f4a0c1e8a11_2");
  EXPECT_EQ(pod.config().annotations().at("odd"), "\"quoted\"\n\\ü");
  EXPECT_EQ(pod.config().port_mappings(0).protocol(), runtime::v1::UDP);
  EXPECT_EQ(pod.config().linux().overhead().memory_limit_in_bytes(), 50331648);
  EXPECT_EQ(pod.handler(), "unikernel");
  EXPECT_EQ(pod.created_at_ns(), 1790000000123456789);
  EXPECT_EQ(pod.tap(), "serai0");
  ASSERT_EQ(pod.made_cgroups_size(), 1);
  EXPECT_EQ(pod.network().mtu(), 1450u);
  ASSERT_EQ(pod.network().addresses_size(), 2);
  EXPECT_EQ(pod.network().addresses(1).prefix_length(), 64u);
  EXPECT_EQ(pod.shim_address(), "unix:///run/serai/shims/serai-0f7c1c2f.sock");
  // What it could not say yet.
  EXPECT_EQ(pod.boot_id(), "");
  EXPECT_FALSE(pod.stopping());
}

TEST(FormatTest, AContainerOfTheFirstVersionIsRead) {
  ContainerRecord container;
  ASSERT_OK(ParseRecord(Golden("v1/container.json"), container));
  EXPECT_EQ(container.version(), kRecordVersion);
  EXPECT_EQ(container.config().image().user_specified_image(),
            "registry.example/web:1");
  EXPECT_EQ(container.config().linux().resources().oom_score_adj(), 999);
  EXPECT_EQ(container.config().mounts(0).container_path(),
            "/dev/termination-log");
  EXPECT_EQ(container.finished_at_ns(), 1790000003000000000);
  EXPECT_EQ(container.exit_code(), 11);
  EXPECT_EQ(container.message(), "the guest's last words");
  EXPECT_EQ(container.target(), "hvt");
  // It was started, and so it was about to be.
  EXPECT_EQ(container.starting_at_ns(), container.started_at_ns());
  EXPECT_FALSE(container.removing());
}

TEST(FormatTest, WhatIsWrittenIsRead) {
  for (const char* name : {"v1/pod.json"}) {
    PodRecord pod;
    ASSERT_OK(ParseRecord(Golden(name), pod));
    ASSERT_OK_AND_ASSIGN(const std::string text, FormatRecord(pod));
    PodRecord again;
    ASSERT_OK(ParseRecord(text, again));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(pod, again));
  }
}

TEST(FormatTest, ALaterVersionIsRefusedWithBothVersions) {
  PodRecord pod;
  EXPECT_THAT(ParseRecord(OfVersion(Golden("v1/pod.json"), 7), pod),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        "of version 7, written by a newer seraid; this one "
                        "reads versions up to 1"));
  // Also where nothing else in it is as it was.
  EXPECT_THAT(ParseRecord(R"({"version": 2, "id": {"hash": 1}})", pod),
              HasStatus(absl::StatusCode::kFailedPrecondition, "version 2"));
}

TEST(FormatTest, TheOutlineOfALaterVersionNamesThePod) {
  const RecordOutline pod = OutlineOf(OfVersion(Golden("v1/pod.json"), 2));
  EXPECT_EQ(pod.version, 2u);
  EXPECT_EQ(pod.pod_name, "web_default_5b0c9d6e-7f0a-4f0b-9d55-2f4a0c1e8a11_2");
  const RecordOutline container =
      OutlineOf(OfVersion(Golden("v1/container.json"), 2));
  EXPECT_EQ(container.pod_id.substr(0, 8), "0f7c1c2f");
  EXPECT_THAT(container.image_id, HasSubstr("sha256:"));
  // Nothing can be relied on.
  EXPECT_EQ(OutlineOf(R"({"version": 2, "pod_id": 3})").pod_id, "");
  EXPECT_EQ(OutlineOf(R"({"config": {"metadata": [1]}})").pod_name, "");
  EXPECT_EQ(OutlineOf("rubbish").version, 0u);
}

TEST(FormatTest, WhatIsNoRecordIsDataLoss) {
  for (const char* text :
       {"", "{", "[]", "7", "{\"id\": \"a\"}", "{\"version\": 0}",
        "{\"version\": \"1\"}", "{\"version\": -1}", "{\"version\": 1.5}",
        "{\"version\": 99999999999}", "{\"version\": 1, \"committed\": 7}"}) {
    PodRecord pod;
    EXPECT_THAT(ParseRecord(text, pod),
                HasStatus(absl::StatusCode::kDataLoss, ""))
        << text;
  }
}

TEST(FormatTest, FieldsThatAreNotKnownAreLeftOut) {
  PodRecord pod;
  ASSERT_OK(
      ParseRecord(R"({"version": 1, "id": "a", "from_the_future": [1]})", pod));
  EXPECT_EQ(pod.id(), "a");
  ASSERT_OK_AND_ASSIGN(const std::string text, FormatRecord(pod));
  EXPECT_THAT(text, AllOf(HasSubstr("\"a\""),
                          ::testing::Not(HasSubstr("from_the_future"))));
}

}  // namespace
}  // namespace serai::cri
