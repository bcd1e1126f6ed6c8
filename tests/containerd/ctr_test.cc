// SPDX-License-Identifier: Apache-2.0
// An operator at a node: our images and our runtime through ctr(8).
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_containerd.h"

namespace serai::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kRuntime[] = "io.containerd.serai.v2";
constexpr absl::Duration kPatience = absl::Seconds(20);

class CtrTest : public ContainerdTest,
                public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (absl::string_view(GetParam()) == "hvt") SERAI_NEED("kvm");
    ContainerdTest::SetUp();
  }

  std::string Import(const std::string& name) {
    const auto image =
        containerd_->ImportGuests(name, {absl::StrCat(name, ".", GetParam())});
    EXPECT_OK(image);
    return image.value_or("");
  }

  // What `serai pack` calls the guest in the image. Arguments given to ctr take
  // the place of the image's whole command.
  static std::string Program() { return absl::StrCat("/app.", GetParam()); }

  // Runs a guest that stays, its output in File(id).
  absl::Status RunDetached(const std::string& image, const std::string& id,
                           const std::vector<std::string>& guest_args) {
    std::vector<std::string> args = {
        "run", "--runtime", kRuntime,
        "-d",  "--log-uri", absl::StrCat("file://", File(id)),
        image, id};
    args.insert(args.end(), guest_args.begin(), guest_args.end());
    return containerd_->Ctr(args).status();
  }

  std::string File(const std::string& id) const {
    return JoinPath(containerd_->directory(), id + ".log");
  }

  std::string Output(const std::string& id) const {
    return ReadFile(File(id), 1 << 20).value_or("");
  }

  // Waits until the guest's output has `text`.
  bool Says(const std::string& id, absl::string_view text) const {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      if (absl::StrContains(Output(id), text)) return true;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  }

  // What `task ls` says of a task: RUNNING, PAUSED, STOPPED; "" of none.
  std::string StatusOf(const std::string& id) {
    const auto table = containerd_->Ctr({"task", "ls"});
    EXPECT_OK(table);
    for (const absl::string_view line :
         absl::StrSplit(table.value_or(""), '\n')) {
      const std::vector<std::string> words =
          absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() > 2 && words[0] == id) return words[2];
    }
    return "";
  }

  bool Becomes(const std::string& id, const std::string& status) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      if (StatusOf(id) == status) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }

  // A task that was killed gives its status to who removes it.
  void Remove(const std::string& id) {
    EXPECT_OK(containerd_->RunCtr({"task", "rm", id}));
    EXPECT_OK(containerd_->Ctr({"container", "rm", id}));
  }

  // The first task leaves directories for what comes.
  Snapshot WarmUp() {
    EXPECT_OK(containerd_->Ctr(
        {"run", "--rm", "--runtime", kRuntime, Import("hello"), "warm-up"}));
    return containerd_->TakeSnapshot();
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, CtrTest, ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(CtrTest, RunPrintsTheOutput) {
  const std::string image = Import("hello");
  const Snapshot before = WarmUp();
  ASSERT_OK_AND_ASSIGN(
      const std::string output,
      containerd_->Ctr({"run", "--rm", "--runtime", kRuntime, image, "hello",
                        Program(), "Hello_Solo5"}));
  EXPECT_THAT(output, HasSubstr("Hello_Solo5"));
  EXPECT_THAT(output, HasSubstr("SUCCESS"));
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

TEST_P(CtrTest, RunEndsAsTheGuest) {
  const std::string image = Import("exit");
  const Snapshot before = WarmUp();
  for (const int status : {0, 7, 255}) {
    ASSERT_OK_AND_ASSIGN(
        const SubprocessResult result,
        containerd_->RunCtr({"run", "--rm", "--runtime", kRuntime, image,
                             absl::StrCat("exit", status), Program(),
                             absl::StrCat("--status=", status)}));
    EXPECT_EQ(result.exit_code, status) << result.error_output;
  }
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

TEST_P(CtrTest, ATaskIsListedMeasuredKilledAndRemoved) {
  const std::string image = Import("spin");
  const Snapshot before = WarmUp();
  ASSERT_OK(RunDetached(image, "spin", {"--idle"}));
  ASSERT_TRUE(Says("spin", "spin: idle")) << Output("spin");
  EXPECT_EQ(StatusOf("spin"), "RUNNING");
  ASSERT_OK_AND_ASSIGN(const std::string metrics,
                       containerd_->Ctr({"task", "metrics", "spin"}));
  EXPECT_THAT(metrics, ContainsRegex("memory.usage_in_bytes +[1-9]"));
  EXPECT_THAT(metrics, ContainsRegex("cpuacct.usage +[1-9]"));
  ASSERT_OK_AND_ASSIGN(const std::string processes,
                       containerd_->Ctr({"task", "ps", "spin"}));
  ASSERT_OK_AND_ASSIGN(const pid_t pid, containerd_->TaskPid("spin"));
  EXPECT_THAT(processes, HasSubstr(absl::StrCat(pid)));

  // A running task is not removed, an unknown one is not killed.
  EXPECT_FALSE(containerd_->Ctr({"task", "rm", "spin"}).ok());
  EXPECT_FALSE(containerd_->Ctr({"task", "kill", "nobody"}).ok());
  ASSERT_OK(containerd_->Ctr({"task", "kill", "--signal", "SIGKILL", "spin"}));
  ASSERT_TRUE(Becomes("spin", "STOPPED"));
  const auto removed = containerd_->RunCtr({"task", "rm", "spin"});
  ASSERT_OK(removed);
  EXPECT_OK(containerd_->Ctr({"container", "rm", "spin"}));
  EXPECT_EQ(StatusOf("spin"), "");
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

TEST_P(CtrTest, APausedTaskStandsStill) {
  const std::string image = Import("count");
  ASSERT_OK(RunDetached(image, "count", {"--lines=1000000", "--pause-ms=5"}));
  ASSERT_TRUE(Says("count", "\n")) << Output("count");
  ASSERT_OK(containerd_->Ctr({"task", "pause", "count"}));
  EXPECT_EQ(StatusOf("count"), "PAUSED");
  absl::SleepFor(absl::Milliseconds(100));
  const std::string paused = Output("count");
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(Output("count"), paused);
  ASSERT_OK(containerd_->Ctr({"task", "resume", "count"}));
  EXPECT_EQ(StatusOf("count"), "RUNNING");
  const absl::Time deadline = absl::Now() + kPatience;
  while (Output("count") == paused && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_GT(Output("count").size(), paused.size());
  ASSERT_OK(containerd_->Ctr({"task", "kill", "--signal", "SIGKILL", "count"}));
  ASSERT_TRUE(Becomes("count", "STOPPED"));
}

TEST_P(CtrTest, ACheckpointGoesOnWhereItWasTaken) {
  if (absl::string_view(GetParam()) == "spt") {
    GTEST_SKIP() << "a checkpoint needs hvt";
  }
  const Snapshot before = WarmUp();
  const std::string image = Import("count");
  ASSERT_OK(RunDetached(image, "count", {"--lines=400", "--pause-ms=10"}));
  ASSERT_TRUE(Says("count", "count: 50\n")) << Output("count");
  constexpr char kCheckpoint[] = "localhost/checkpoint:latest";
  ASSERT_OK(containerd_->Ctr(
      {"container", "checkpoint", "--image", "--task", "count", kCheckpoint}));
  EXPECT_EQ(StatusOf("count"), "RUNNING");
  ASSERT_OK(containerd_->Ctr({"task", "kill", "--signal", "SIGKILL", "count"}));
  ASSERT_TRUE(Becomes("count", "STOPPED"));
  Remove("count");

  ASSERT_OK(containerd_->Ctr(
      {"container", "restore", "--live", "again", kCheckpoint}));
  ASSERT_OK_AND_ASSIGN(const std::string rest,
                       containerd_->Ctr({"task", "attach", "again"}));
  EXPECT_THAT(rest, HasSubstr("count: 400\n"));
  EXPECT_THAT(rest, Not(HasSubstr("count: 50\n")));
  // Who is attached to its end has deleted the task.
  EXPECT_EQ(StatusOf("again"), "");
  EXPECT_OK(containerd_->Ctr({"container", "rm", "again"}));
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

TEST_P(CtrTest, FiftyAtOnce) {
  const std::string image = Import("exit");
  const Snapshot before = WarmUp();
  constexpr int kTasks = 50;
  std::vector<int> codes(kTasks, -1);
  std::vector<std::string> errors(kTasks);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kTasks; ++i) {
    threads.emplace_back([&, i] {
      const auto result = containerd_->RunCtr(
          {"run", "--rm", "--runtime", kRuntime, image, absl::StrCat("n", i),
           Program(), absl::StrCat("--status=", i + 1)});
      if (!result.ok()) return;
      codes[i] = result->exit_code;
      errors[i] = result->error_output;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kTasks; ++i) {
    EXPECT_EQ(codes[static_cast<size_t>(i)], i + 1)
        << errors[static_cast<size_t>(i)];
  }
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

}  // namespace
}  // namespace serai::testing
