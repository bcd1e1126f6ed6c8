// SPDX-License-Identifier: Apache-2.0
// seraid is killed every 200 ms while a client, which asks again as kubelet
// does, has twenty pods, of which half live through it all and half come and
// go: no pod is lost, nothing that is said of one is untrue, and nothing is
// left in the end.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <semaphore>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

constexpr int kResidents = 10;
constexpr int kComers = 10;
// So many are made at a time: with all of them at once, none would be ready
// before the storm is over.
constexpr int kMaxMaking = 2;
constexpr absl::Duration kBetweenKills = absl::Milliseconds(200);
constexpr absl::Duration kPause = absl::Milliseconds(20);
// For one step, when nobody kills any more or between two kills.
constexpr absl::Duration kPatience = absl::Seconds(60);

absl::Duration StormLength() {
  const char* seconds = std::getenv("SERAI_KILL_SECONDS");
  return absl::Seconds(seconds == nullptr ? 15 : std::atoi(seconds));
}

// What a daemon's death does to a call; anything else is an answer.
bool IsInterrupted(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status);
}

struct Seen : TestNode::Running {
  int64_t started_at = 0;
};

class KillTest : public OwnMachineTest {
 protected:
  // One pod after the other, each from its making to its removal, until the
  // storm is over. What it sees is compared with what it knows.
  void ComeAndGo(int number) {
    for (int life = 0; !over_ || life == 0; ++life) {
      const std::string name = absl::StrCat("comer", number, "-", life);
      SCOPED_TRACE(name);
      Seen run;
      ASSERT_NO_FATAL_FAILURE(Make(name, Web(number), run));
      for (int times = 0; times < 3; ++times) {
        ASSERT_NO_FATAL_FAILURE(ExpectItLives(run));
      }
      ASSERT_NO_FATAL_FAILURE(End(run));
      if (HasFailure()) return;
      ++lives_;
    }
  }

  // A pod that is there before the storm, and looked at until it is over.
  void Stay(int number, Seen& run) {
    SCOPED_TRACE(absl::StrCat("resident", number));
    while (!over_ && !HasFailure()) {
      ASSERT_NO_FATAL_FAILURE(ExpectItLives(run));
      ++looks_;
      absl::SleepFor(kBetweenKills);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectItLives(run));
    End(run);
  }

  void Make(const std::string& name, const std::string& image, Seen& run) {
    const auto make = [&]() -> absl::Status {
      ASSIGN_OR_RETURN(run.pod, node_->RunPod(name));
      return absl::OkStatus();
    };
    const auto create = [&]() -> absl::Status {
      const auto config = node_->ContainerConfig(image, {});
      ASSIGN_OR_RETURN(run.container, node_->Create(run.pod, config));
      return absl::OkStatus();
    };
    making_.acquire();
    const absl::Cleanup made = [this] { making_.release(); };
    ASSERT_OK(Insist(make));
    ASSERT_OK(Insist(create));
    ASSERT_OK(Insist([&] { return node_->StartContainer(run.container); }));
  }

  void End(const Seen& run) {
    ASSERT_OK(Insist([&] { return node_->StopContainer(run.container, 5); }));
    ExpectItWasStopped(run);
    ASSERT_OK(Insist([&] { return node_->StopPod(run.pod); }));
    ASSERT_OK(Insist([&] { return node_->RemovePod(run.pod); }));
    ExpectItIsGone(run);
  }

  // A guest lives on, and its times are one time.
  void ExpectItLives(Seen& run) {
    const auto look = [&]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto seen, node_->StatusOf(run.container));
      EXPECT_EQ(seen.state(), cri::CONTAINER_RUNNING) << seen.message();
      if (run.started_at != 0) {
        EXPECT_EQ(seen.started_at(), run.started_at);
      }
      run.started_at = seen.started_at();
      ASSIGN_OR_RETURN(const auto pod, node_->PodStatusOf(run.pod));
      EXPECT_EQ(pod.state(), cri::SANDBOX_READY);
      run.ip = pod.network().ip();
      return absl::OkStatus();
    };
    ASSERT_OK(Insist(look));
    ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  }

  void ExpectItWasStopped(const TestNode::Running& run) {
    const auto look = [&]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto seen, node_->StatusOf(run.container));
      EXPECT_EQ(seen.state(), cri::CONTAINER_EXITED);
      EXPECT_EQ(seen.exit_code(), 128 + SIGTERM) << seen.message();
      return absl::OkStatus();
    };
    EXPECT_OK(Insist(look));
  }

  void ExpectItIsGone(const TestNode::Running& run) {
    const auto look = [&]() -> absl::Status {
      const absl::Status gone = node_->PodStatusOf(run.pod).status();
      if (IsInterrupted(gone)) return gone;
      EXPECT_THAT(gone, HasStatus(absl::StatusCode::kNotFound, ""));
      return absl::OkStatus();
    };
    EXPECT_OK(Insist(look));
  }

  // Asks until there is an answer.
  template <typename Step>
  absl::Status Insist(const Step& step) {
    const absl::Time begin = absl::Now();
    for (;;) {
      const absl::Status status = step();
      if (!IsInterrupted(status)) return status;
      ++interrupted_;
      if (over_ &&
          absl::Now() >
              std::max(begin, absl::FromUnixNanos(ended_ns_)) + kPatience) {
        return status;
      }
      absl::SleepFor(kPause);
    }
  }

  std::atomic<bool> over_ = false;
  std::atomic<int64_t> ended_ns_ = 0;
  std::counting_semaphore<kMaxMaking> making_{kMaxMaking};
  std::atomic<int> lives_ = 0;
  std::atomic<int> looks_ = 0;
  std::atomic<int> interrupted_ = 0;
};

TEST_F(KillTest, PodsLiveComeAndGoWhileSeraidIsKilledAllTheTime) {
  WarmUp();
  const LeakWatch watch(*node_);
  std::vector<Seen> residents(kResidents);
  for (int i = 0; i < kResidents; ++i) {
    ASSERT_NO_FATAL_FAILURE(Make(absl::StrCat("resident", i), Web(i),
                                 residents[static_cast<size_t>(i)]));
  }
  std::vector<std::thread> clients;
  for (int i = 0; i < kResidents; ++i) {
    clients.emplace_back(
        [&, i] { Stay(i, residents[static_cast<size_t>(i)]); });
  }
  for (int i = 0; i < kComers; ++i) {
    clients.emplace_back([this, i] { ComeAndGo(i); });
  }
  const absl::Time end = absl::Now() + StormLength();
  int kills = 0;
  while (absl::Now() < end) {
    absl::SleepFor(kBetweenKills);
    node_->Replace();
    ++kills;
  }
  const int in_the_storm = lives_;
  ended_ns_ = absl::GetCurrentTimeNanos();
  over_ = true;
  for (std::thread& client : clients) client.join();
  std::printf(
      "%d kills; %d pods lived through it, looked at %d times; %d came and "
      "went in the storm, %d in all; %d calls interrupted\n",
      kills, kResidents, looks_.load(), in_the_storm, lives_.load(),
      interrupted_.load());
  EXPECT_THAT(node_->Pods(), IsEmpty());
  EXPECT_THAT(node_->Containers(), IsEmpty());
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

}  // namespace
}  // namespace serai::testing
