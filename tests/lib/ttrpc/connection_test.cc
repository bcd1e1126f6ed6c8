// SPDX-License-Identifier: Apache-2.0
// The client and the server on the two ends of a socket.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/event_loop.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::ttrpc {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

// A server on a thread of its own. Methods: Echo; Fail; Hang, which never
// answers; Later, which answers at the next Release.
class TestServer {
 public:
  explicit TestServer(Server::Limits limits = Server::Limits())
      : loop_(*EventLoop::Create()),
        server_(
            *loop_,
            [this](Call call, Server::Reply reply) {
              Handle(call, std::move(reply));
            },
            limits) {
    UniqueFd listener(
        ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
                     sizeof(address)),
              0);
    EXPECT_EQ(::listen(listener.get(), 16), 0);
    EXPECT_OK(server_.Listen(std::move(listener)));
    thread_ = std::thread([this] { EXPECT_OK(loop_->Run()); });
  }
  ~TestServer() { Stop(); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  void Stop() {
    if (!thread_.joinable()) return;
    // Again where there was no room for one more connection.
    while (!Connect()->Call("s", "Stop", "", absl::InfiniteFuture()).ok()) {
    }
    thread_.join();
  }

  std::string path() const { return dir_ / "socket"; }
  std::unique_ptr<Client> Connect() { return *Client::Connect(path()); }
  UniqueFd ConnectRaw() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                        sizeof(address)),
              0);
    return fd;
  }

 private:
  void Handle(const Call& call, Server::Reply reply) {
    if (call.method == "Echo") reply(call.request);
    if (call.method == "Fail") reply(absl::DataLossError("as asked"));
    if (call.method == "Later") later_.push_back(std::move(reply));
    if (call.method == "Big") reply(std::string(kMaxDataBytes + 1, 'x'));
    if (call.method == "Release") {
      for (const Server::Reply& waiting : later_) waiting(std::string("late"));
      later_.clear();
      reply(std::string());
    }
    if (call.method == "Stop") {
      reply(std::string());
      loop_->Stop();
    }
  }

  TempDir dir_;
  std::unique_ptr<EventLoop> loop_;
  Server server_;
  std::vector<Server::Reply> later_;
  std::thread thread_;
};

absl::Time Soon() { return absl::Now() + absl::Seconds(20); }

TEST(ConnectionTest, AnswersAndErrorsComeBack) {
  TestServer server;
  const auto client = server.Connect();
  EXPECT_EQ(client->Call("s", "Echo", "hello", Soon()).value_or(""), "hello");
  EXPECT_THAT(client->Call("s", "Fail", "", Soon()),
              HasStatus(absl::StatusCode::kDataLoss, "as asked"));
  const std::string big(3 << 20, 'b');
  EXPECT_EQ(client->Call("s", "Echo", big, Soon()).value_or(""), big);
  EXPECT_THAT(
      client->Call("s", "Echo", std::string(kMaxDataBytes, 'x'), Soon()),
      HasStatus(absl::StatusCode::kResourceExhausted, "longer than"));
  EXPECT_THAT(client->Call("s", "Big", "", Soon()),
              HasStatus(absl::StatusCode::kResourceExhausted, "longer than"));
  EXPECT_TRUE(client->connected());
}

TEST(ConnectionTest, ManyThreadsShareOneConnection) {
  TestServer server;
  const auto client = server.Connect();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string text = absl::StrCat(t, ":", i);
        if (client->Call("s", "Echo", text, Soon()).value_or("") != text) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ConnectionTest, AnAnswerThatTakesLongHoldsUpNoOther) {
  TestServer server;
  const auto client = server.Connect();
  std::promise<absl::StatusOr<std::string>> later;
  client->CallAsync("s", "Later", "", [&](absl::StatusOr<std::string> answer) {
    later.set_value(std::move(answer));
  });
  EXPECT_OK(client->Call("s", "Echo", "x", Soon()));
  EXPECT_OK(server.Connect()->Call("s", "Release", "", Soon()));
  EXPECT_EQ(later.get_future().get().value_or(""), "late");
}

TEST(ConnectionTest, ACallIsGivenUpAtItsDeadline) {
  TestServer server;
  const auto client = server.Connect();
  EXPECT_THAT(
      client->Call("s", "Hang", "", absl::Now() + absl::Milliseconds(50)),
      HasStatus(absl::StatusCode::kDeadlineExceeded, "Hang"));
  EXPECT_EQ(client->Call("s", "Echo", "x", Soon()).value_or(""), "x");
}

TEST(ConnectionTest, TheServersEndFailsWhatIsUnderWayAndWhatComes) {
  auto server = std::make_unique<TestServer>();
  const auto client = server->Connect();
  std::promise<absl::Status> later;
  client->CallAsync("s", "Hang", "",
                    [&](const absl::StatusOr<std::string>& answer) {
                      later.set_value(answer.status());
                    });
  auto blocked = std::async(std::launch::async, [&] {
    return client->Call("s", "Hang", "", Soon()).status();
  });
  EXPECT_OK(client->Call("s", "Echo", "x", Soon()));
  const std::string path = server->path();
  server.reset();
  const auto unavailable = HasStatus(absl::StatusCode::kUnavailable, "");
  EXPECT_THAT(later.get_future().get(), unavailable);
  EXPECT_THAT(blocked.get(), unavailable);
  EXPECT_FALSE(client->connected());
  EXPECT_THAT(client->Call("s", "Echo", "x", Soon()), unavailable);
  absl::Status now;
  client->CallAsync("s", "Echo", "x",
                    [&](const absl::StatusOr<std::string>& answer) {
                      now = answer.status();
                    });
  EXPECT_THAT(now, unavailable);
  EXPECT_THAT(Client::Connect("unix://" + path).status(), unavailable);
}

TEST(ConnectionTest, TheClientsEndRunsItsCallbacks) {
  TestServer server;
  auto client = server.Connect();
  absl::Status ended;
  client->CallAsync("s", "Hang", "",
                    [&](const absl::StatusOr<std::string>& answer) {
                      ended = answer.status();
                    });
  client.reset();
  EXPECT_THAT(ended, HasStatus(absl::StatusCode::kUnavailable, ""));
}

TEST(ConnectionTest, TooManyCallsAreRefusedAndNoneIsLost) {
  TestServer server({.connections = 4, .calls = 3, .unsent_bytes = 1 << 20});
  const auto client = server.Connect();
  std::atomic<int> refused = 0;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 10; ++i) {
    client->CallAsync("s", "Later", "",
                      [&](const absl::StatusOr<std::string>& answer) {
                        ++(answer.ok() ? answered : refused);
                      });
  }
  while (refused < 7) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_OK(server.Connect()->Call("s", "Release", "", Soon()));
  while (answered < 3) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(refused, 7);
}

TEST(ConnectionTest, AClientThatTakesNoAnswersIsHeldBackThenDropped) {
  TestServer server({.connections = 4, .calls = 1024, .unsent_bytes = 1 << 20});
  const UniqueFd slow = server.ConnectRaw();
  const std::string frame = *EncodeFrame(
      1, FrameType::kRequest,
      EncodeRequest("s", "Echo", std::string(2 << 20, 'x'), absl::Seconds(9)));
  ASSERT_OK(WriteAll(slow.get(), frame));
  EXPECT_EQ(server.Connect()->Call("s", "Echo", "x", Soon()).value_or(""), "x");
  std::string rest(1 << 16, '\0');
  ssize_t n = 0;
  while ((n = ::read(slow.get(), rest.data(), rest.size())) > 0) {
  }
  EXPECT_EQ(n, 0);
}

TEST(ConnectionTest, AClientThatHangsUpOnItsAnswersIsDropped) {
  TestServer server({.connections = 2, .calls = 1024, .unsent_bytes = 8 << 20});
  const UniqueFd slow = server.ConnectRaw();
  const std::string frame = *EncodeFrame(
      1, FrameType::kRequest,
      EncodeRequest("s", "Echo", std::string(2 << 20, 'x'), absl::Seconds(9)));
  ASSERT_OK(WriteAll(slow.get(), frame));
  char byte = 0;
  ASSERT_EQ(::read(slow.get(), &byte, 1), 1);
  // Answered only when no more of the first answer could be sent.
  const auto other = server.Connect();
  EXPECT_OK(other->Call("s", "Echo", "x", Soon()));
  // Hung up, but not closed: what was sent keeps its room.
  ASSERT_EQ(::shutdown(slow.get(), SHUT_RDWR), 0);
  // One more than there is room for, if the first still counts.
  absl::StatusOr<std::string> answer;
  for (const absl::Time end = Soon(); !answer.ok() && absl::Now() < end;) {
    answer = server.Connect()->Call("s", "Echo", "x", Soon());
  }
  EXPECT_EQ(answer.value_or(""), "x");
}

// As a shim is that is stopped.
TEST(ConnectionTest, AServerThatDoesNotReadHoldsUpNobody) {
  const TempDir dir;
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  (dir / "socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
                   sizeof(address)),
            0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_OK_AND_ASSIGN(const auto client, Client::Connect(dir / "socket"));
  // More than the socket takes, less than what may wait.
  const std::string large(100'000, 'x');
  std::atomic<int> failed = 0;
  const auto call = [&] {
    client->CallAsync("s", "Echo", large,
                      [&](const absl::StatusOr<std::string>&) { ++failed; });
  };
  constexpr int kCalls = 8;
  for (int i = 0; i < kCalls; ++i) call();
  EXPECT_THAT(
      client->Call("s", "Echo", "", absl::Now() + absl::Milliseconds(50)),
      HasStatus(absl::StatusCode::kDeadlineExceeded, "no answer"));
  EXPECT_EQ(failed, 0);
  for (int i = 0; i < 20; ++i) call();
  EXPECT_GT(failed, 10);
  EXPECT_TRUE(client->connected());
  const int waiting = kCalls + 1 + 20 - failed;
  // It goes on, and finds every call whole, in order.
  const UniqueFd server(::accept(listener.get(), nullptr, nullptr));
  FrameDecoder decoder;
  std::vector<char> chunk(1 << 16);
  Frame frame;
  for (int i = 0; i < waiting;) {
    const ssize_t n = ::read(server.get(), chunk.data(), chunk.size());
    ASSERT_GT(n, 0);
    decoder.Append(absl::string_view(chunk.data(), static_cast<size_t>(n)));
    for (; *decoder.Next(frame); ++i) {
      EXPECT_EQ(frame.data.size() > large.size(), i != kCalls) << i;
    }
  }
  const std::string answer = *EncodeFrame(frame.stream, FrameType::kResponse,
                                          EncodeResponse(std::string("late")));
  const int before = failed;
  ASSERT_OK(WriteAll(server.get(), answer));
  while (failed == before) absl::SleepFor(absl::Milliseconds(1));
}

TEST(ConnectionTest, AddressesThatCannotBeAreRefused) {
  EXPECT_THAT(Client::Connect("").status(),
              HasStatus(absl::StatusCode::kInvalidArgument, "no path"));
  EXPECT_THAT(Client::Connect(std::string(108, '/')).status(),
              HasStatus(absl::StatusCode::kInvalidArgument, "no path"));
}

}  // namespace
}  // namespace serai::ttrpc
