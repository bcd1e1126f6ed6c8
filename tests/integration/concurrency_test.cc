// SPDX-License-Identifier: Apache-2.0
// Several calls about one pod at the same time, calls beside a slow one, and
// many pods at once.
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/event_listener.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

void AtTheSameTime(const std::vector<std::function<void()>>& works) {
  std::vector<std::thread> threads;
  for (const auto& work : works) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

using ConcurrencyTest = OwnMachineTest;

TEST_F(ConcurrencyTest, StopAndRemoveOfOnePodFromManyThreads) {
  WarmUp();
  const LeakWatch watch(*node_);
  EventListener listener(*node_);
  std::vector<std::string> ids;
  for (int round = 0; round < 5; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("pod", Web(round)));
    ids.insert(ids.end(), {run.pod, run.container});
    const auto stop = [&] { EXPECT_OK(node_->StopPod(run.pod)); };
    const auto remove = [&] { EXPECT_OK(node_->RemovePod(run.pod)); };
    const auto stop_container = [&] {
      EXPECT_OK(node_->StopContainer(run.container, 1));
    };
    const auto remove_container = [&] {
      EXPECT_OK(node_->RemoveContainer(run.container));
    };
    AtTheSameTime({stop, remove_container, stop_container, remove, stop,
                   remove_container, stop_container, remove});
    EXPECT_THAT(node_->Pods(), IsEmpty());
    EXPECT_THAT(node_->Containers(), IsEmpty());
  }
  // What comes after the last of theirs.
  ASSERT_OK_AND_ASSIGN(const std::string last, node_->RunPod("last"));
  ASSERT_THAT(listener.Of(last, 2), SizeIs(2));
  for (const std::string& id : ids) {
    EXPECT_THAT(listener.Of(id, 4), ElementsAre(cri::CONTAINER_CREATED_EVENT,
                                                cri::CONTAINER_STARTED_EVENT,
                                                cri::CONTAINER_STOPPED_EVENT,
                                                cri::CONTAINER_DELETED_EVENT));
  }
  EXPECT_OK(node_->RemovePod(last));
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(ConcurrencyTest, RemovalWhileTheContainerStarts) {
  WarmUp();
  const LeakWatch watch(*node_);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
    ASSERT_OK_AND_ASSIGN(
        const std::string container,
        node_->Create(pod, node_->ContainerConfig(Web(round), {})));
    const auto start = [&] {
      EXPECT_THAT(node_->StartContainer(container).code(),
                  AnyOf(absl::StatusCode::kOk, absl::StatusCode::kNotFound,
                        absl::StatusCode::kFailedPrecondition));
    };
    // Before the start, and at several moments of it.
    const auto remove = [&] {
      absl::SleepFor(absl::Milliseconds(round / 2 * 5));
      EXPECT_OK(round % 2 == 0 ? node_->RemovePod(pod)
                               : node_->RemoveContainer(container));
    };
    AtTheSameTime({remove, start});
    EXPECT_THAT(node_->Containers(), IsEmpty());
    EXPECT_OK(node_->RemovePod(pod));
    EXPECT_THAT(node_->Pods(), IsEmpty());
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(ConcurrencyTest, TheSameCallsAtTheSameTimeDoTheirWorkOnce) {
  std::mutex mutex;
  std::set<std::string> pods;
  std::set<std::string> containers;
  const auto make = [&] {
    const auto pod = node_->RunPod("pod");
    ASSERT_OK(pod);
    const auto container =
        node_->Create(*pod, node_->ContainerConfig(Web(0), {}));
    ASSERT_OK(container);
    const std::lock_guard lock(mutex);
    pods.insert(*pod);
    containers.insert(*container);
  };
  AtTheSameTime({make, make, make, make});
  ASSERT_THAT(pods, SizeIs(1));
  ASSERT_THAT(containers, SizeIs(1));
  EXPECT_THAT(node_->Pods(), SizeIs(1));
  EXPECT_THAT(node_->Containers(), SizeIs(1));
  const std::string container = *containers.begin();
  const auto start = [&] { EXPECT_OK(node_->StartContainer(container)); };
  AtTheSameTime({start, start, start, start});
  // Later as well, as long as it is what was asked for.
  EXPECT_THAT(node_->RunPod("pod"), IsOkAndHolds(*pods.begin()));
  auto other = node_->PodConfig("pod");
  (*other.mutable_labels())["new"] = "label";
  EXPECT_THAT(node_->RunPod(other),
              HasStatus(absl::StatusCode::kAlreadyExists,
                        "made with another configuration"));
  EXPECT_OK(node_->StopPod(*pods.begin()));
  EXPECT_THAT(node_->RunPod("pod"),
              HasStatus(absl::StatusCode::kAlreadyExists, "not ready"));
}

TEST_F(ConcurrencyTest, AnAttemptEndsTheOneBeforeThatWasNeverStarted) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  auto config = node_->ContainerConfig(Web(0), {});
  ASSERT_OK_AND_ASSIGN(const std::string first, node_->Create(pod, config));
  config.mutable_metadata()->set_attempt(1);
  ASSERT_OK_AND_ASSIGN(const std::string second, node_->Create(pod, config));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(first));
  EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status.reason(), "Superseded");
  EXPECT_THAT(node_->StartContainer(first),
              HasStatus(absl::StatusCode::kFailedPrecondition, "Superseded"));
  EXPECT_OK(node_->StartContainer(second));
}

// As kubelet's deadline passes, or someone presses Ctrl-C.
TEST_F(ConcurrencyTest, AStopWhoseCallerHangsUpIsNotWaitedFor) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("pod", Web(0)));
  ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  const pid_t tender = TenderOf(run);
  ASSERT_GT(tender, 0);
  ASSERT_EQ(::kill(tender, SIGSTOP), 0);  // SIGTERM has to wait
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(500));
  cri::StopContainerRequest request;
  request.set_container_id(run.container);
  request.set_timeout(3600);
  cri::StopContainerResponse response;
  EXPECT_EQ(
      node_->runtime().StopContainer(&context, request, &response).error_code(),
      grpc::StatusCode::DEADLINE_EXCEEDED);
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!absl::StrContains(node_->DaemonLog(), "hung up before container") &&
         absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_THAT(node_->DaemonLog(), HasSubstr("hung up before container"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
  EXPECT_EQ(status.state(), cri::CONTAINER_RUNNING);
  ASSERT_EQ(::kill(tender, SIGCONT), 0);
  ASSERT_OK_AND_ASSIGN(const auto ended, node_->WaitExited(run.container));
  EXPECT_EQ(ended.exit_code(), 128 + SIGTERM);
}

// A field of /proc/PID/status, in its own unit.
int64_t StatusField(pid_t pid, absl::string_view name) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/status"), 1 << 16);
  if (!text.ok()) return -1;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, absl::StrCat(name, ":\t"))) continue;
    rest = absl::StripAsciiWhitespace(rest);
    int64_t value = -1;
    (void)absl::SimpleAtoi(rest.substr(0, rest.find(' ')), &value);
    return value;
  }
  return -1;
}

TEST_F(ConcurrencyTest, SixtyFourPodsAtOnce) {
  constexpr int kPods = 64;
  WarmUp();
  const LeakWatch watch(*node_);
  std::vector<std::string> pods(kPods);
  std::vector<std::function<void()>> works;
  for (int i = 0; i < kPods; ++i) {
    works.push_back([&, i] {
      auto pod = node_->RunPod(absl::StrCat("pod", i));
      EXPECT_OK(pod);
      if (pod.ok()) pods[static_cast<size_t>(i)] = *std::move(pod);
    });
  }
  const absl::Time start = absl::Now();
  AtTheSameTime(works);
  const absl::Duration took = absl::Now() - start;
  const int64_t rss = StatusField(node_->pid(), "VmRSS");
  const int64_t threads = StatusField(node_->pid(), "Threads");
  std::printf("%d pods in %s; seraid: %ld kB, %ld threads\n", kPods,
              absl::FormatDuration(took).c_str(), static_cast<long>(rss),
              static_cast<long>(threads));
  EXPECT_LT(rss, 128 << 10);
  // One reads each shim's answers, one serves each call, and some more.
  EXPECT_LT(threads, 4 * kPods);
  EXPECT_THAT(node_->Pods(), SizeIs(kPods));
  for (const cri::PodSandbox& pod : node_->Pods()) {
    EXPECT_EQ(pod.state(), cri::SANDBOX_READY);
  }
  works.clear();
  for (const std::string& pod : pods) {
    works.push_back([&] { EXPECT_OK(node_->RemovePod(pod)); });
  }
  AtTheSameTime(works);
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

// A node whose network plugin makes and unmakes nothing before it may.
class SlowPluginTest : public OwnMachineTest {
 protected:
  NodeOptions Options() override {
    const std::string script = absl::StrCat(
        "#!/bin/sh\n", "case $CNI_COMMAND in ADD|DEL)\n", "  touch ",
        dir_ / "waiting", "\n", "  while [ ! -e ", dir_ / "go",
        " ]; do sleep 0.05; done;;\n", "esac\n", "exec /usr/lib/cni/bridge\n");
    EXPECT_OK(WriteFileAtomic(dir_ / "slow", script, 0755));
    NodeOptions options;
    options.plugin_dir = dir_.path();
    options.conflist = absl::StrCat(
        R"({"cniVersion":"1.0.0","name":"slow","plugins":[{"type":"slow",)",
        R"("bridge":"slow0","isGateway":true,"ipam":{"type":"host-local",)",
        R"("dataDir":")", dir_ / "ipam",
        R"(","ranges":[[{"subnet":"10.201.7.0/24"}]]}}]})");
    return options;
  }

  // The node needs the plugin to the end.
  void TearDown() override {
    Go();
    node_.reset();
  }

  void Go() { EXPECT_OK(WriteFileAtomic(dir_ / "go", "")); }
  void Halt() {
    EXPECT_OK(RemovePath(dir_ / "go"));
    EXPECT_OK(RemovePath(dir_ / "waiting"));
  }
  void AwaitPlugin() {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!PathExists(dir_ / "waiting") && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_TRUE(PathExists(dir_ / "waiting"));
  }

  // Addresses that are taken.
  std::vector<std::string> Leases() {
    std::vector<std::string> leases;
    for (const std::string& name :
         ListDir(dir_ / "ipam/slow").value_or(std::vector<std::string>())) {
      if (absl::StartsWith(name, "10.201.7.")) leases.push_back(name);
    }
    return leases;
  }

  // None of these waits for what another pod, or this one, is doing.
  void LookAround(const TestNode::Running& run) {
    grpc::ClientContext version;
    cri::VersionResponse version_response;
    EXPECT_TRUE(node_->runtime().Version(&version, {}, &version_response).ok());
    grpc::ClientContext status;
    cri::StatusResponse status_response;
    EXPECT_TRUE(node_->runtime().Status(&status, {}, &status_response).ok());
    grpc::ClientContext stats;
    cri::ListContainerStatsResponse stats_response;
    EXPECT_TRUE(
        node_->runtime().ListContainerStats(&stats, {}, &stats_response).ok());
    EXPECT_OK(node_->PodStatusOf(run.pod));
    EXPECT_OK(node_->StatusOf(run.container));
    EXPECT_THAT(node_->Pods(), SizeIs(1));
    EXPECT_THAT(node_->Containers(), SizeIs(1));
    // The plugin was in the midst of it all the time.
    EXPECT_FALSE(PathExists(dir_ / "go"));
  }

 private:
  const TempDir dir_;
};

TEST_F(SlowPluginTest, ASecondCallWaitsForTheFirstWhoseCallerHungUp) {
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = node_->PodConfig("pod");
  request.set_runtime_handler("unikernel");
  {
    grpc::ClientContext impatient;
    impatient.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::seconds(1));
    cri::RunPodSandboxResponse response;
    EXPECT_EQ(node_->runtime()
                  .RunPodSandbox(&impatient, request, &response)
                  .error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  AwaitPlugin();
  auto other = node_->PodConfig("pod");
  other.set_hostname("another");
  EXPECT_THAT(node_->RunPod(other),
              HasStatus(absl::StatusCode::kAlreadyExists,
                        "is being made by another request"));
  std::string id;
  std::thread again([&] {
    const auto pod = node_->RunPod("pod");
    EXPECT_OK(pod);
    if (pod.ok()) id = *pod;
  });
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_THAT(node_->Pods(), IsEmpty());
  Go();
  again.join();
  EXPECT_THAT(node_->Pods(), SizeIs(1));
  EXPECT_THAT(node_->RunPod("pod"), IsOkAndHolds(id));
  EXPECT_OK(node_->RemovePod(id));
}

// The plugin goes on, and takes its lease, when nobody waits for it any more.
TEST_F(SlowPluginTest, ARestartWaitsForThePluginOfADeadSeraid) {
  std::thread adding([&] {
    EXPECT_THAT(node_->RunPod("pod"),
                HasStatus(absl::StatusCode::kUnavailable, ""));
  });
  AwaitPlugin();
  node_->Kill();
  adding.join();
  node_->Stop(SIGKILL);
  node_->Start();
  EXPECT_THAT(node_->Pods(), IsEmpty());
  absl::SleepFor(absl::Milliseconds(500));
  Go();
  // The same pod waits until the half one is away.
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  EXPECT_OK(node_->RemovePod(pod));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(SlowPluginTest, StatusAndListsDoNotWait) {
  Go();
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("quick", Web(0)));
  Halt();
  std::thread adding([&] { EXPECT_OK(node_->RunPod("slow")); });
  AwaitPlugin();
  LookAround(run);
  // Nor does another pod's container.
  EXPECT_OK(node_->StopContainer(run.container, 1));
  Go();
  adding.join();
  for (const cri::PodSandbox& pod : node_->Pods()) {
    if (pod.id() != run.pod) EXPECT_OK(node_->RemovePod(pod.id()));
  }

  Halt();
  std::thread deleting([&] { EXPECT_OK(node_->StopPod(run.pod)); });
  AwaitPlugin();
  LookAround(run);
  Go();
  deleting.join();
}

}  // namespace
}  // namespace serai::testing
