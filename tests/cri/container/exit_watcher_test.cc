// SPDX-License-Identifier: Apache-2.0
// Ends are written down as shims tell of them, whatever other shims do.
#include "cri/container/exit_watcher.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cri/events/event_hub.h"
#include "lib/base/event.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "proto/serai/shim/v1/control.pb.h"
#include "proto/task/task.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::TempDir;

constexpr absl::Duration kPatience = absl::Seconds(30);

enum class Kind {
  kSound,
  kStuck,    // it answers Wait and State, and nothing after that
  kCreated,  // its task was not started
  kForgot,   // it has no task
};

// A shim whose task has ended with `exit_status`, as it says when it is asked.
class FakeShim {
 public:
  // `on_delete` is called before it forgets the task.
  FakeShim(
      std::string path, uint32_t exit_status, Kind kind = Kind::kSound,
      std::function<void()> on_delete = [] {})
      : path_(std::move(path)),
        exit_status_(exit_status),
        kind_(kind),
        on_delete_(std::move(on_delete)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address),
                     sizeof(address)),
              0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeShim() { thread_.join(); }

  // Ends the connection, and with it what waits for an answer.
  void HangUp() const { ::shutdown(connection_, SHUT_RDWR); }

  std::shared_ptr<Shim> Connect() const {
    auto shim = Shim::Connect("unix://" + path_);
    EXPECT_OK(shim);
    return *shim;
  }

 private:
  void Serve() {
    const UniqueFd connection(
        ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    connection_ = connection.get();
    ttrpc::FrameDecoder decoder;
    std::array<char, 4096> bytes;
    for (;;) {
      const ssize_t n = ::read(connection.get(), bytes.data(), bytes.size());
      if (n <= 0) return;
      decoder.Append({bytes.data(), static_cast<size_t>(n)});
      ttrpc::Frame frame;
      while (decoder.Next(frame).value_or(false)) {
        Answer(connection.get(), frame);
      }
    }
  }

  absl::StatusOr<std::string> Outcome(const std::string& method) const {
    if (kind_ == Kind::kForgot) return absl::NotFoundError("no task");
    if (method == "Wait") {
      task::WaitResponse response;
      response.set_exit_status(exit_status_);
      response.mutable_exited_at()->set_seconds(7);
      return response.SerializeAsString();
    }
    if (method == "State") {
      task::StateResponse response;
      response.set_status(kind_ == Kind::kCreated ? task::TASK_CREATED
                                                  : task::TASK_STOPPED);
      response.set_exit_status(exit_status_);
      response.mutable_exited_at()->set_seconds(7);
      return response.SerializeAsString();
    }
    if (method != "Delete") return std::string();
    on_delete_();
    task::DeleteResponse response;
    response.set_exit_status(exit_status_);
    return response.SerializeAsString();
  }

  void Answer(int connection, const ttrpc::Frame& frame) {
    const auto call = ttrpc::DecodeRequest(frame.data);
    ASSERT_OK(call);
    const std::string method(call->method);
    if (kind_ == Kind::kStuck && method != "Wait" && method != "State") return;
    const auto reply =
        ttrpc::EncodeFrame(frame.stream, ttrpc::FrameType::kResponse,
                           ttrpc::EncodeResponse(Outcome(method)));
    ASSERT_OK(reply);
    ASSERT_OK(WriteAll(connection, *reply));
  }

  const std::string path_;
  const uint32_t exit_status_;
  const Kind kind_;
  const std::function<void()> on_delete_;
  UniqueFd listener_;
  std::atomic<int> connection_ = -1;
  std::thread thread_;
};

class ExitWatcherTest : public ::testing::Test {
 protected:
  std::shared_ptr<Container> Running(const std::string& id) {
    ContainerRecord record;
    record.set_version(kRecordVersion);
    record.set_id(id);
    record.set_cgroup("/" + id);
    record.set_starting_at_ns(1);
    record.set_started_at_ns(1);
    return std::make_shared<Container>(dir_ / (id + ".json"), record);
  }

  const TempDir dir_;
  EventHub events_{
      [](const Event&) { return runtime::v1::ContainerEventResponse(); }};
  const host::CgroupHierarchy cgroups_ = host::CgroupHierarchy::V2(dir_.path());
};

TEST_F(ExitWatcherTest, ShimsThatAreStuckDelayNobodyElsesEnd) {
  std::vector<std::unique_ptr<FakeShim>> stuck;
  for (int i = 0; i < 16; ++i) {
    stuck.push_back(std::make_unique<FakeShim>(dir_ / absl::StrCat("stuck", i),
                                               1, Kind::kStuck));
  }
  FakeShim sound(dir_ / "sound", 3);
  const auto container = Running("sound");
  std::vector<std::shared_ptr<Shim>> connections;
  ExitWatcher watcher(cgroups_, events_);
  for (size_t i = 0; i < stuck.size(); ++i) {
    connections.push_back(stuck[i]->Connect());
    watcher.Watch(Running(absl::StrCat("stuck", i)), connections.back());
  }
  connections.push_back(sound.Connect());
  watcher.Watch(container, connections.back());
  // A call to a stuck one alone takes twenty seconds.
  EXPECT_TRUE(
      container->ended.WaitForNotificationWithTimeout(absl::Seconds(10)));
  for (const auto& shim : stuck) shim->HangUp();
}

TEST_F(ExitWatcherTest, WhatIsFollowedIsKnownWhenItsEndIsWritten) {
  FakeShim shim(dir_ / "shim", 5);
  const auto connection = shim.Connect();
  const auto container = Running("a");
  ExitWatcher watcher(cgroups_, events_);
  serai::Event known;
  watcher.Follow(container, connection, [&] { known.Notify(); });
  ASSERT_TRUE(known.WaitForNotificationWithTimeout(kPatience));
  const auto record = container->record.Read();
  EXPECT_EQ(PhaseOf(*record), ContainerPhase::kExited);
  EXPECT_EQ(record->exit_code(), 5);
  EXPECT_EQ(record->finished_at_ns(), 7'000'000'000);
  EXPECT_TRUE(container->ended.HasBeenNotified());
}

TEST_F(ExitWatcherTest, AnEndIsNotedBeforeTheShimForgetsIt) {
  const auto container = Running("a");
  ContainerRecord noted;
  const FakeShim shim(dir_ / "shim", 5, Kind::kSound,
                      [&] { EXPECT_OK(LoadRecord(dir_ / "a.json", noted)); });
  const auto connection = shim.Connect();
  ExitWatcher watcher(cgroups_, events_);
  watcher.Watch(container, connection);
  ASSERT_TRUE(container->ended.WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(noted.end().exit_code(), 5);
  EXPECT_EQ(noted.end().exited_at_ns(), 7'000'000'000);
  EXPECT_EQ(noted.end().reason(), "Error");
  // It is not told of yet.
  EXPECT_EQ(PhaseOf(noted), ContainerPhase::kRunning);
  EXPECT_EQ(noted.exit_code(), 0);
  EXPECT_FALSE(container->record.Read()->has_end());
}

TEST_F(ExitWatcherTest, ANotedEndIsKnownWhereTheShimHasForgottenIt) {
  FakeShim shim(dir_ / "shim", 0, Kind::kForgot);
  const auto connection = shim.Connect();
  for (const bool told_of_start : {true, false}) {
    const auto container = Running("a");
    ASSERT_OK(container->record.Change([&](ContainerRecord& r) {
      if (!told_of_start) r.clear_started_at_ns();
      r.mutable_end()->set_exited_at_ns(9);
      r.mutable_end()->set_exit_code(0);
      r.mutable_end()->set_reason("Completed");
    }));
    ExitWatcher watcher(cgroups_, events_);
    serai::Event known;
    watcher.Follow(container, connection, [&] { known.Notify(); });
    ASSERT_TRUE(known.WaitForNotificationWithTimeout(kPatience));
    const auto record = container->record.Read();
    EXPECT_EQ(PhaseOf(*record), ContainerPhase::kExited);
    EXPECT_EQ(record->exit_code(), 0);
    EXPECT_EQ(record->reason(), "Completed");
    EXPECT_EQ(record->started_at_ns(), 1);
    EXPECT_EQ(record->finished_at_ns(), 9);
  }
}

TEST_F(ExitWatcherTest, WhatWasTakenForRunningAndWasNotStartedHasEnded) {
  FakeShim shim(dir_ / "shim", 0, Kind::kCreated);
  const auto connection = shim.Connect();
  const auto container = Running("a");
  ExitWatcher watcher(cgroups_, events_);
  serai::Event known;
  watcher.Follow(container, connection, [&] { known.Notify(); });
  ASSERT_TRUE(known.WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(PhaseOf(*container->record.Read()), ContainerPhase::kExited);
  EXPECT_EQ(container->record.Read()->message(), "it was never started");
}

}  // namespace
}  // namespace serai::cri
