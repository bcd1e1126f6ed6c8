// SPDX-License-Identifier: Apache-2.0
// How each generation of containerd asks and is answered, what the shim says of
// itself, and what it reads and notes in a bundle.
#include "shim/bootstrap.h"

#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/file.h"
#include "lib/base/version.h"
#include "proto/task/bootstrap.pb.h"
#include "proto/task/wire.pb.h"
#include "shim/bundle_notes.h"
#include "shim/info.h"
#include "shim/state_file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kTtrpc[] = "/run/containerd/containerd.sock.ttrpc";

Options Start() {
  Options options;
  options.namespace_name = "k8s.io";
  options.id = "abc";
  return options;
}

std::string RuntimeOptions() {
  wire::Any any;
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value("\n\003abc");
  return any.SerializeAsString();
}

bootstrap::BootstrapParams Params() {
  bootstrap::BootstrapParams params;
  params.set_instance_id("abc");
  params.set_namespace_("k8s.io");
  params.set_log_level(-4);
  params.set_containerd_version("v2.3.0");
  params.set_containerd_ttrpc_address(kTtrpc);
  params.set_containerd_grpc_address("/run/containerd/containerd.sock");
  params.set_socket_dir("/run/containerd/s");
  params.add_extensions()->mutable_value()->set_type_url("x");
  return params;
}

TEST(BootstrapTest, Containerd16GivesTheEnvironmentAndTakesAnAddress) {
  for (const std::string& input : {std::string(), RuntimeOptions()}) {
    ASSERT_OK_AND_ASSIGN(const Bootstrap bootstrap,
                         ReadBootstrap(Start(), {kTtrpc, ""}, input));
    EXPECT_EQ(bootstrap.answer, Bootstrap::Answer::kAddress);
    EXPECT_EQ(bootstrap.events_address, kTtrpc);
    EXPECT_EQ(bootstrap.socket_directory, "");
    EXPECT_EQ(FormatAnswer(bootstrap.answer, 2, "unix:///s"), "unix:///s");
  }
}

TEST(BootstrapTest, Containerd17TakesJson) {
  ASSERT_OK_AND_ASSIGN(const Bootstrap bootstrap,
                       ReadBootstrap(Start(), {kTtrpc, "2"}, RuntimeOptions()));
  EXPECT_EQ(bootstrap.answer, Bootstrap::Answer::kJson);
  EXPECT_EQ(bootstrap.events_address, kTtrpc);
  const auto json =
      nlohmann::json::parse(FormatAnswer(bootstrap.answer, 2, "unix:///s"));
  EXPECT_EQ(json, nlohmann::json({{"version", 2},
                                  {"address", "unix:///s"},
                                  {"protocol", "ttrpc"}}));
}

TEST(BootstrapTest, Containerd23GivesAndTakesProtobuf) {
  ASSERT_OK_AND_ASSIGN(
      const Bootstrap bootstrap,
      ReadBootstrap(Start(), {"/other", "2"}, Params().SerializeAsString()));
  EXPECT_EQ(bootstrap.answer, Bootstrap::Answer::kProtobuf);
  EXPECT_EQ(bootstrap.events_address, kTtrpc);
  EXPECT_EQ(bootstrap.socket_directory, "/run/containerd/s");
  bootstrap::BootstrapResult result;
  ASSERT_TRUE(
      result.ParseFromString(FormatAnswer(bootstrap.answer, 3, "unix:///s")));
  EXPECT_EQ(result.version(), 3);
  EXPECT_EQ(result.address(), "unix:///s");
  EXPECT_EQ(result.protocol(), "ttrpc");
}

TEST(BootstrapTest, ParametersOfAnotherStartAreNotThisOnes) {
  auto params = Params();
  params.set_instance_id("abd");
  // Reads as options with unknown fields: taken as such.
  ASSERT_OK_AND_ASSIGN(
      const Bootstrap bootstrap,
      ReadBootstrap(Start(), {kTtrpc, "2"}, params.SerializeAsString()));
  EXPECT_EQ(bootstrap.answer, Bootstrap::Answer::kJson);
  EXPECT_THAT(ReadBootstrap(Start(), {kTtrpc, "2"}, "\xff\xff"),
              HasStatus(kInvalid, "neither"));
}

TEST(InfoTest, TellsItsNameAndVersion) {
  EXPECT_THAT(VersionText(), HasSubstr(kVersion));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, RuntimeInfo(RuntimeOptions()));
  bootstrap::RuntimeInfo info;
  ASSERT_TRUE(info.ParseFromString(bytes));
  EXPECT_EQ(info.name(), "io.containerd.serai.v2");
  EXPECT_EQ(info.version().version(), kVersion);
  EXPECT_EQ(info.options().type_url(), "runtimeoptions.v1.Options");
  EXPECT_EQ(info.options().value(), "\n\003abc");
  ASSERT_OK_AND_ASSIGN(const std::string without, RuntimeInfo(""));
  ASSERT_TRUE(info.ParseFromString(without));
  EXPECT_FALSE(info.has_options());
  EXPECT_THAT(RuntimeInfo("\xff"), HasStatus(kInvalid, "options"));
}

class BundleNotesTest : public ::testing::Test {
 protected:
  absl::StatusOr<BundleNotes> Read(const std::string& config) {
    EXPECT_OK(WriteFileAtomic(dir_ / "config.json", config));
    return ReadBundleNotes(dir_.path());
  }

  TempDir dir_;
};

TEST_F(BundleNotesTest, FindsTheGroup) {
  ASSERT_OK_AND_ASSIGN(const BundleNotes none, ReadBundleNotes(dir_.path()));
  EXPECT_FALSE(none.has_config);
  EXPECT_EQ(none.group, "");
  ASSERT_OK_AND_ASSIGN(
      const BundleNotes cri,
      Read(R"({"annotations": {"io.kubernetes.cri.sandbox-id": "pod-1"},
               "linux": {"cgroupsPath": "/kubepods/pod-1"}})"));
  EXPECT_TRUE(cri.has_config);
  EXPECT_EQ(cri.group, "pod-1");
  EXPECT_EQ(cri.cgroups_path, "/kubepods/pod-1");
  ASSERT_OK_AND_ASSIGN(
      const BundleNotes both,
      Read(R"({"annotations": {"io.kubernetes.cri.sandbox-id": "pod-1",
                               "io.containerd.runc.v2.group": "g"}})"));
  EXPECT_EQ(both.group, "pod-1");
  // Other types than expected are as good as nothing.
  ASSERT_OK_AND_ASSIGN(
      const BundleNotes odd,
      Read(R"({"annotations": ["a"], "linux": {"cgroupsPath": 7}})"));
  EXPECT_EQ(odd.group, "");
  EXPECT_EQ(odd.cgroups_path, "");
}

TEST_F(BundleNotesTest, RefusesWhatItCannotUse) {
  EXPECT_THAT(Read("{"), HasStatus(kInvalid, "no specification"));
  EXPECT_THAT(Read("[]"), HasStatus(kInvalid, "no specification"));
  EXPECT_THAT(Read(std::string(100'000, '[')),
              HasStatus(kInvalid, "no specification"));
  EXPECT_THAT(
      Read(R"({"annotations": {"io.kubernetes.cri.sandbox-id": "../x"}})"),
      HasStatus(kInvalid, "no sandbox's id"));
}

TEST(TaskRecordTest, ReadsBackWhatWasWritten) {
  const TempDir dir;
  TaskRecord record;
  record.id = "c";
  record.pod = "p";
  record.pid = 4711;
  record.start_time = 99;
  record.cgroup = "/a/b";
  record.made_cgroups = {"/sys/fs/cgroup/a", "/sys/fs/cgroup/a/b"};
  ASSERT_OK(WriteTaskRecord(dir.path(), record));
  ASSERT_OK_AND_ASSIGN(const TaskRecord first, ReadTaskRecord(dir.path()));
  EXPECT_EQ(first, record);
  record.scope = "serai-c.scope";
  record.taps = {{"/run/netns/x", 4026532281, "eth0", "serai0", 7},
                 {"/run/netns/y", 1, "net1", "serai0", 8}};
  record.exit =
      RecordedExit{137, absl::FromUnixNanos(1'700'000'000'000'000'001)};
  ASSERT_OK(WriteTaskRecord(dir.path(), record));
  ASSERT_OK_AND_ASSIGN(const TaskRecord second, ReadTaskRecord(dir.path()));
  EXPECT_EQ(second, record);
  ASSERT_OK(RemoveTaskRecord(dir.path()));
  EXPECT_THAT(ReadTaskRecord(dir.path()),
              HasStatus(absl::StatusCode::kNotFound, "serai-task"));
}

TEST(TaskRecordTest, OlderAndNewerOnesAreUnderstood) {
  const TempDir dir;
  const std::string path = dir / "serai-task.json";
  ASSERT_OK(WriteFileAtomic(path, R"({"version": 1, "id": "a", "pid": 7,
      "startTime": 8, "cgroup": "", "madeCgroups": [], "later": {"x": 1}})"));
  ASSERT_OK_AND_ASSIGN(const TaskRecord record, ReadTaskRecord(dir.path()));
  EXPECT_EQ(record.pid, 7);
  EXPECT_FALSE(record.exit.has_value());
  for (const char* text :
       {"", "{", "7", R"({"version": 2})", R"({"version": 1, "pid": -1})",
        R"({"version": 1, "pid": 4294967296})", R"({"version": 1, "id": 1})",
        R"({"version": 1, "madeCgroups": 1})",
        R"({"version": 1, "madeCgroups": [1]})",
        R"({"version": 1, "taps": [{"name": 1}]})",
        R"({"version": 1, "taps": [1]})", R"({"version": 1, "exit": 1})",
        R"({"version": 1, "exit": {"status": -1}})"}) {
    ASSERT_OK(WriteFileAtomic(path, text));
    EXPECT_THAT(ReadTaskRecord(dir.path()),
                HasStatus(absl::StatusCode::kDataLoss, "damaged"))
        << text;
  }
}

}  // namespace
}  // namespace serai::shim
