// SPDX-License-Identifier: Apache-2.0
// The shim with bad bundles and sudden deaths.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "lib/host/pidfd.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::BuildDir;
using ::serai::testing::HasStatus;
using ::serai::testing::PodShim;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kWrongState = absl::StatusCode::kFailedPrecondition;

size_t OpenDescriptors(pid_t pid) {
  return ListDir(absl::StrCat("/proc/", pid, "/fd"))->size();
}

bool CgroupExists(const std::string& path) {
  const auto hierarchy = host::CgroupHierarchy::Detect();
  return hierarchy.ok() && host::Cgroup::Open(*hierarchy, path)->Exists();
}

absl::Status Ping(PodShim& shim) {
  return shim.Call<task::ConnectResponse>("Connect", task::ConnectRequest())
      .status();
}

class BadBundleTest : public ::testing::Test {
 protected:
  void SetUp() override { SERAI_NEED("root"); }

  // Creates with `spec`; the error. Whatever it is, nothing may be left.
  absl::Status Refused(PodShim& shim, const oci::RuntimeSpec& spec) {
    const size_t before = OpenDescriptors(shim.pid());
    const absl::Status status = shim.Create("bad", spec);
    EXPECT_EQ(OpenDescriptors(shim.pid()), before);
    EXPECT_FALSE(CgroupExists("/" + shim.unique()));
    EXPECT_FALSE(PathExists(shim.LogPath("bad")));
    EXPECT_THAT(*ListDir(shim.BundlePath("bad")), ElementsAre("config.json"));
    EXPECT_THAT(shim.State("bad"),
                HasStatus(absl::StatusCode::kNotFound, "bad"));
    return status;
  }
};

TEST_F(BadBundleTest, NamesWhatIsWrongWithTheUnikernel) {
  PodShim shim;
  EXPECT_THAT(Refused(shim, shim.Spec("bad", "nothing")),
              HasStatus(kInvalid, "unikernel /nothing: open"));
  oci::RuntimeSpec spec = shim.Spec("bad", "true");
  spec.root_path = "/bin";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "unikernel /true"));
  spec.root_path = "/nonexistent";
  EXPECT_THAT(Refused(shim, spec),
              HasStatus(absl::StatusCode::kNotFound, "/nonexistent"));
  // A link cannot lead out of the root.
  ASSERT_OK(MakeDirs(shim / "root"));
  ASSERT_EQ(::symlink((BuildDir() + "/guests/hello.spt").c_str(),
                      (shim / "root/app").c_str()),
            0);
  ASSERT_EQ(::mkfifo((shim / "root/fifo").c_str(), 0600), 0);
  spec = shim.Spec("bad", "app");
  spec.root_path = shim / "root";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "unikernel /app"));
  spec.args[0] = "/fifo";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "unikernel /fifo"));
}

TEST_F(BadBundleTest, NamesTheDeviceThatIsMissing) {
  PodShim shim;
  EXPECT_THAT(Refused(shim, shim.Spec("bad", "block.spt")),
              HasStatus(kInvalid,
                        "device storage (BLOCK_BASIC) has nothing attached to "
                        "it; its manifest lists storage (BLOCK_BASIC); "
                        "attached: nothing"));
  oci::RuntimeSpec spec = shim.Spec("bad", "block.spt");
  oci::GuestDevice device;
  device.name = "storage";
  device.type = oci::GuestDevice::Type::kBlock;
  device.path = shim / "no.img";
  spec.devices = {device};
  EXPECT_THAT(Refused(shim, spec),
              HasStatus(absl::StatusCode::kNotFound, "no.img"));
  spec.devices[0].path = "/dev/null";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "neither a file"));
  spec.devices[0].type = oci::GuestDevice::Type::kNet;
  spec.devices[0].tap = "serai0";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "device storage"));
  spec.args[0] = "/hello.spt";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "lists no device"));
  spec.args[0] = "/web.spt";
  spec.devices[0].name = "service";
  spec.devices[0].tap = shim.unique().substr(0, 15);
  EXPECT_THAT(Refused(shim, spec), HasStatus(kWrongState, "there is none"));
}

TEST_F(BadBundleTest, NamesWhatElseIsWrong) {
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("bad", "hello.spt");
  spec.guest_memory = 1 << 20;
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "at least"));
  spec = shim.Spec("bad", "hello.spt", {std::string(8192, 'x')});
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "8192 bytes"));
  spec = shim.Spec("bad", "hello.spt");
  spec.network_namespace = shim / "no-netns";
  EXPECT_THAT(Refused(shim, spec), HasStatus(absl::StatusCode::kNotFound,
                                             "pod's network namespace"));
  spec = shim.Spec("bad", "hello.spt");
  spec.cgroups_path = "relative/../path";
  EXPECT_THAT(Refused(shim, spec), HasStatus(kInvalid, "relative/../path"));
  spec = shim.Spec("bad", "hello.spt");
  spec.resources.cpus = "9999";
  EXPECT_FALSE(Refused(shim, spec).ok());

  task::CreateTaskRequest request;
  request.set_id("bad");
  request.set_bundle(shim.BundlePath("bad"));
  ASSERT_OK(WriteFileAtomic(shim.BundlePath("bad") + "/config.json",
                            oci::ToJson(shim.Spec("bad", "hello.spt"))));
  for (const std::string stdout_address :
       {"fifo:///x", "cri://relative", "cri:///nonexistent/dir/0.log"}) {
    request.set_stdout(stdout_address);
    EXPECT_FALSE(shim.Call<task::CreateTaskResponse>("Create", request).ok());
    EXPECT_FALSE(CgroupExists("/" + shim.unique()));
  }
  for (const std::string config : {"", "{", "[]", "{\"root\":{}}"}) {
    ASSERT_OK(WriteFileAtomic(shim.BundlePath("bad") + "/config.json", config));
    EXPECT_THAT(shim.CreateFromBundle("bad"), HasStatus(kInvalid, ""));
  }
  ASSERT_OK(RemovePath(shim.BundlePath("bad") + "/config.json"));
  EXPECT_THAT(shim.CreateFromBundle("bad"),
              HasStatus(absl::StatusCode::kNotFound, "config.json"));
}

TEST(ShimCallTest, WhatAUnikernelCannotDoIsSaid) {
  PodShim shim;
  EXPECT_THAT(shim.Call<wire::Empty>("Exec", task::ExecProcessRequest()),
              HasStatus(kUnimplemented, "one program"));
  ASSERT_OK(shim.Create("a", shim.Spec("a", "hello.spt")));
  task::ResizePtyRequest resize;
  resize.set_id("a");
  EXPECT_THAT(shim.Call<wire::Empty>("ResizePty", resize),
              HasStatus(kUnimplemented, "terminal"));
  EXPECT_THAT(shim.Call<wire::Empty>("Nonsense", wire::Empty()),
              HasStatus(kUnimplemented, "no method"));
  EXPECT_THAT(shim.Call<wire::Empty>("State", wire::Empty(), "no.Service"),
              HasStatus(kUnimplemented, "no service"));
  EXPECT_THAT(shim.client().Call(ttrpc::kTaskService, "State", "\xff\xff",
                                 absl::Now() + absl::Seconds(5)),
              HasStatus(kInvalid, "malformed"));
  task::WaitRequest wait;
  wait.set_id("nobody");
  EXPECT_THAT(shim.Call<task::WaitResponse>("Wait", wait),
              HasStatus(absl::StatusCode::kNotFound, "nobody"));
}

TEST(ShimCallTest, OneThatIsNotStartedCanBeKilledOrDeleted) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "hello.spt")));
  EXPECT_THAT(shim.Create("a", shim.Spec("a", "hello.spt")),
              HasStatus(absl::StatusCode::kAlreadyExists, "a"));
  EXPECT_OK(shim.Kill("a", SIGCONT));
  EXPECT_EQ(shim.State("a")->status(), task::TASK_CREATED);
  EXPECT_OK(shim.Kill("a", SIGTERM));
  EXPECT_EQ(shim.Wait("a").value_or(0), 128U + SIGTERM);
  EXPECT_OK(shim.Delete("a"));
  ASSERT_OK(shim.Create("b", shim.Spec("b", "hello.spt")));
  EXPECT_OK(shim.Delete("b"));
  EXPECT_OK(shim.Shutdown(false));
  EXPECT_TRUE(shim.Ended());
}

TEST(ShimCallTest, ATenderThatCannotBeExecutedIsAnErrorOfStart) {
  PodShim shim("/nonexistent/tender");
  ASSERT_OK(shim.Create("a", shim.Spec("a", "hello.spt")));
  EXPECT_THAT(shim.Start("a"),
              HasStatus(kWrongState, "exec /nonexistent/tender: No such file"));
  EXPECT_EQ(shim.State("a")->status(), task::TASK_STOPPED);
  EXPECT_EQ(shim.Wait("a").value_or(0), 127U);
  EXPECT_OK(shim.Delete("a"));
}

TEST(ShimCallTest, AnEndBeforeTheStartIsNoticed) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "hello.spt")));
  ASSERT_EQ(::kill(static_cast<pid_t>(shim.State("a")->pid()), SIGKILL), 0);
  EXPECT_EQ(shim.Wait("a").value_or(0), 128U + SIGKILL);
  EXPECT_THAT(shim.Start("a"), HasStatus(kWrongState, "before"));
  EXPECT_OK(shim.Delete("a"));
}

TEST(ShimCallTest, WhatTheTenderSaidLastIsKept) {
  PodShim shim("/bin/ls");
  ASSERT_OK(shim.Create("a", shim.Spec("a", "hello.spt")));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(0), 2U);
  EXPECT_THAT(shim.Info("a")->message(), HasSubstr("unrecognized option"));
  EXPECT_THAT(shim.LogText("a", "stderr"), HasSubstr("unrecognized option"));
}

TEST(ShimStartTest, ASecondStartGivesTheSameShim) {
  PodShim shim;
  EXPECT_EQ(shim.Command("start").value_or(""), shim.address());
  EXPECT_OK(Ping(shim));
  EXPECT_EQ(shim.address(), "unix://" + shim / "s/test-pod.sock");
}

TEST(ShimStartTest, ManyAtOnceGiveOneShim) {
  PodShim shim;
  EXPECT_OK(shim.Shutdown(false));
  EXPECT_TRUE(shim.Ended());
  std::vector<std::future<absl::StatusOr<std::string>>> starts;
  for (int i = 0; i < 8; ++i) {
    starts.push_back(
        std::async(std::launch::async, [&] { return shim.Command("start"); }));
  }
  for (auto& start : starts) {
    EXPECT_EQ(start.get().value_or(""), shim.address());
  }
  std::vector<uint32_t> pids;
  for (int i = 0; i < 3; ++i) {
    auto client = shim.NewClient();
    pids.push_back(ttrpc::TypedCall<task::ConnectResponse>(
                       *client, ttrpc::kTaskService, "Connect", wire::Empty(),
                       absl::Now() + absl::Seconds(5))
                       ->shim_pid());
  }
  EXPECT_EQ(pids[0], pids[1]);
  EXPECT_EQ(pids[1], pids[2]);
  ASSERT_OK_AND_ASSIGN(const auto process,
                       host::Pidfd::Open(static_cast<pid_t>(pids[0])));
  auto client = shim.NewClient();
  EXPECT_OK(client->Call(ttrpc::kTaskService, "Shutdown", "",
                         absl::Now() + absl::Seconds(5)));
  EXPECT_TRUE(*process.Wait(absl::Seconds(10)));
}

TEST(ShimStartTest, BadCommandLinesAreRefused) {
  PodShim shim;
  EXPECT_THAT(shim.Command("frobnicate"),
              HasStatus(absl::StatusCode::kUnknown, "start or delete"));
  EXPECT_THAT(shim.Command("-frobnicate"),
              HasStatus(absl::StatusCode::kUnknown, "unknown flag"));
}

TEST(ShimClientTest, TheKilledClientsTasksRunOnAndAreFoundAgain) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "spin.spt", {"--idle"})));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A client that dies with a call under way.
    auto client = ttrpc::Client::Connect(shim.address());
    if (!client.ok()) ::_exit(1);
    task::StartRequest start;
    start.set_id("a");
    if (!(*client)
             ->Call(ttrpc::kTaskService, "Start", start.SerializeAsString(),
                    absl::Now() + absl::Seconds(5))
             .ok()) {
      ::_exit(1);
    }
    (*client)->CallAsync(ttrpc::kTaskService, "Wait", start.SerializeAsString(),
                         [](const absl::StatusOr<std::string>&) {});
    ::kill(::getpid(), SIGKILL);
  }
  int wait_status = 0;
  ASSERT_EQ(::waitpid(child, &wait_status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(wait_status));

  auto again = shim.NewClient();
  task::StateRequest request;
  request.set_id("a");
  EXPECT_EQ(ttrpc::TypedCall<task::StateResponse>(
                *again, ttrpc::kTaskService, "State", request,
                absl::Now() + absl::Seconds(5))
                ->status(),
            task::TASK_RUNNING);
  // Two clients wait for the same end.
  auto waiting = std::async(std::launch::async, [&] {
    task::WaitRequest wait;
    wait.set_id("a");
    return ttrpc::TypedCall<task::WaitResponse>(*again, ttrpc::kTaskService,
                                                "Wait", wait,
                                                absl::Now() + absl::Seconds(20))
        ->exit_status();
  });
  EXPECT_OK(shim.Kill("a", SIGKILL));
  EXPECT_EQ(shim.Wait("a").value_or(0), 128U + SIGKILL);
  EXPECT_EQ(waiting.get(), 128U + SIGKILL);
}

TEST(ShimDeathTest, WhatADeadShimLeftIsDeleted) {
  SERAI_NEED("root");
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "spin.spt", {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  const auto tender_pid = static_cast<pid_t>(shim.State("a")->pid());
  ASSERT_OK_AND_ASSIGN(const uint64_t start_time,
                       host::ProcessStartTime(tender_pid));
  shim.KillShim();
  EXPECT_TRUE(PathExists(shim.socket_path()));
  ASSERT_OK_AND_ASSIGN(const std::string output,
                       shim.Command("delete", shim.BundlePath("a")));
  task::DeleteResponse response;
  ASSERT_TRUE(response.ParseFromString(output));
  EXPECT_EQ(response.pid(), static_cast<uint32_t>(tender_pid));
  EXPECT_EQ(response.exit_status(), 128U + SIGKILL);
  EXPECT_GT(response.exited_at().seconds(), 1700000000);
  EXPECT_THAT(host::OpenProcess(tender_pid, start_time).status(),
              HasStatus(absl::StatusCode::kNotFound, ""));
  EXPECT_FALSE(CgroupExists("/" + shim.unique()));
  EXPECT_FALSE(PathExists(shim.socket_path()));
  EXPECT_THAT(*ListDir(shim.BundlePath("a")), ElementsAre("config.json"));
  // Once more: nothing is left, and that is fine.
  EXPECT_OK(shim.Command("delete", shim.BundlePath("a")));
}

TEST(ShimDeathTest, ItsTendersDieWithIt) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "spin.spt", {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  ASSERT_TRUE(shim.WaitForLog("a", "spin: idle"));
  ASSERT_OK(shim.Create("b", shim.Spec("b", "hello.spt")));
  std::vector<host::Pidfd> tenders;
  for (const std::string id : {"a", "b"}) {
    ASSERT_OK_AND_ASSIGN(
        host::Pidfd tender,
        host::Pidfd::Open(static_cast<pid_t>(shim.State(id)->pid())));
    tenders.push_back(std::move(tender));
  }
  shim.KillShim();
  for (const host::Pidfd& tender : tenders) {
    EXPECT_TRUE(tender.Wait(absl::Seconds(5)).value_or(false));
  }
}

TEST(ShimDeathTest, ADeadShimIsReplacedAndItsClientsAreTold) {
  PodShim shim;
  std::promise<absl::Status> told;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "hello.spt")));
  task::WaitRequest request;
  request.set_id("a");
  shim.client().CallAsync(ttrpc::kTaskService, "Wait",
                          request.SerializeAsString(),
                          [&](const absl::StatusOr<std::string>& answer) {
                            told.set_value(answer.status());
                          });
  shim.KillShim();
  EXPECT_THAT(told.get_future().get(),
              HasStatus(absl::StatusCode::kUnavailable, ""));
  EXPECT_FALSE(shim.client().connected());
  EXPECT_EQ(shim.Command("start").value_or(""), shim.address());
  auto client = shim.NewClient();
  ASSERT_NE(client, nullptr);
  EXPECT_OK(client->Call(ttrpc::kTaskService, "Shutdown", "",
                         absl::Now() + absl::Seconds(5)));
  while (client->connected()) absl::SleepFor(absl::Milliseconds(1));
}

TEST(ShimDeathTest, SigtermEndsTheShimWithItsTasks) {
  SERAI_NEED("root");
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", "spin.spt", {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  ASSERT_EQ(::kill(shim.pid(), SIGTERM), 0);
  EXPECT_TRUE(shim.Ended());
  EXPECT_FALSE(CgroupExists("/" + shim.unique()));
  EXPECT_FALSE(PathExists(shim.socket_path()));
}

}  // namespace
}  // namespace serai::shim
