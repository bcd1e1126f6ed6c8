// SPDX-License-Identifier: Apache-2.0
// The client without threads, on one loop with its server.
#include "lib/ttrpc/loop_client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/ttrpc/server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::ttrpc {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

using Outcome = absl::StatusOr<std::string>;

constexpr absl::Duration kPatience = absl::Seconds(20);

class LoopClientTest : public ::testing::Test {
 protected:
  LoopClientTest() : loop_(*EventLoop::Create()) { listener_ = Listen(); }

  UniqueFd Listen() {
    UniqueFd fd(
        ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
                     sizeof(address)),
              0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }

  // Answers Echo; Fail fails; Hang never answers.
  void Serve() {
    server_ = std::make_unique<Server>(
        *loop_, [](const Call& call, const Server::Reply& reply) {
          if (call.method == "Echo") reply(call.request);
          if (call.method == "Fail") reply(absl::DataLossError("as asked"));
        });
    ASSERT_OK(server_->Listen(std::move(listener_)));
  }

  std::unique_ptr<LoopClient> Connect() {
    auto client = LoopClient::Connect(*loop_, path_);
    EXPECT_OK(client);
    return client.ok() ? *std::move(client) : nullptr;
  }

  // Calls and runs the loop until there is an outcome.
  Outcome Ask(LoopClient& client, absl::string_view method,
              const std::string& request, absl::Duration timeout = kPatience) {
    Outcome outcome = absl::UnknownError("nothing");
    client.Call("s", method, request, timeout, [&](Outcome answer) {
      outcome = std::move(answer);
      loop_->Stop();
    });
    EXPECT_OK(loop_->Run());
    return outcome;
  }

  TempDir dir_;
  const std::string path_ = dir_ / "socket";
  std::unique_ptr<EventLoop> loop_;
  UniqueFd listener_;
  std::unique_ptr<Server> server_;
};

TEST_F(LoopClientTest, AnswersAndErrorsComeBack) {
  Serve();
  const auto client = Connect();
  EXPECT_EQ(Ask(*client, "Echo", "hello").value_or(""), "hello");
  EXPECT_THAT(Ask(*client, "Fail", ""),
              HasStatus(absl::StatusCode::kDataLoss, "as asked"));
  // More than a socket's buffer holds, both ways.
  const std::string big(3 << 20, 'b');
  EXPECT_EQ(Ask(*client, "Echo", big).value_or(""), big);
  EXPECT_THAT(Ask(*client, "Echo", std::string(kMaxDataBytes, 'x')),
              HasStatus(absl::StatusCode::kResourceExhausted, "longer than"));
  EXPECT_EQ(Ask(*client, "Echo", "still").value_or(""), "still");
}

TEST_F(LoopClientTest, ManyCallsAtATimeEachGetTheirAnswer) {
  Serve();
  const auto client = Connect();
  int right = 0;
  for (int i = 0; i < 500; ++i) {
    client->Call("s", "Echo", absl::StrCat(i), kPatience,
                 [&, i](const Outcome& answer) {
                   right += answer.ok() && *answer == absl::StrCat(i) ? 1 : 0;
                   if (i == 499) loop_->Stop();
                 });
  }
  ASSERT_OK(loop_->Run());
  EXPECT_EQ(right, 500);
}

TEST_F(LoopClientTest, GivesUpAtItsDeadlineAndGoesOn) {
  Serve();
  const auto client = Connect();
  EXPECT_THAT(Ask(*client, "Hang", "", absl::Milliseconds(20)),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "in time"));
  EXPECT_EQ(Ask(*client, "Echo", "x").value_or(""), "x");
}

TEST_F(LoopClientTest, TheServersEndFailsWhatIsUnderWayAndWhatComes) {
  Serve();
  const auto client = Connect();
  EXPECT_EQ(Ask(*client, "Echo", "x").value_or(""), "x");
  int failed = 0;
  for (int i = 0; i < 3; ++i) {
    client->Call("s", "Hang", "", kPatience, [&](const Outcome& answer) {
      failed += absl::IsUnavailable(answer.status()) ? 1 : 0;
      if (failed == 3) loop_->Stop();
    });
  }
  loop_->AddTimer(absl::Milliseconds(10), [&] { server_.reset(); });
  ASSERT_OK(loop_->Run());
  EXPECT_EQ(failed, 3);
  const auto unavailable = HasStatus(absl::StatusCode::kUnavailable, "");
  EXPECT_THAT(Ask(*client, "Echo", "x"), unavailable);
  EXPECT_THAT(LoopClient::Connect(*loop_, path_).status(), unavailable);
  EXPECT_THAT(LoopClient::Connect(*loop_, dir_ / "none").status(), unavailable);
}

TEST_F(LoopClientTest, ACallbackMayDestroyTheClient) {
  Serve();
  auto client = Connect();
  client->Call("s", "Echo", "x", kPatience, [&](const Outcome&) {
    client.reset();
    loop_->Stop();
  });
  client->Call("s", "Echo", "y", kPatience,
               [](const Outcome&) { FAIL() << "its client is gone"; });
  ASSERT_OK(loop_->Run());
  EXPECT_EQ(client, nullptr);
  // The same when the connection breaks.
  client = Connect();
  for (int i = 0; i < 2; ++i) {
    client->Call("s", "Hang", "", kPatience, [&](const Outcome&) {
      ASSERT_NE(client, nullptr);
      client.reset();
      loop_->Stop();
    });
  }
  loop_->AddTimer(absl::Milliseconds(10), [&] { server_.reset(); });
  ASSERT_OK(loop_->Run());
  EXPECT_EQ(client, nullptr);
}

TEST_F(LoopClientTest, AServerThatTakesNobodyDoesNotBlock) {
  // Nobody accepts: the queue fills, and connecting fails at once.
  std::vector<std::unique_ptr<LoopClient>> waiting;
  absl::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) {
    auto client = LoopClient::Connect(*loop_, path_);
    refused = client.status();
    if (client.ok()) waiting.push_back(*std::move(client));
  }
  EXPECT_THAT(refused, HasStatus(absl::StatusCode::kUnavailable, ""));
  EXPECT_THAT(Ask(*waiting[0], "Echo", std::string(1 << 20, 'x'),
                  absl::Milliseconds(20)),
              HasStatus(absl::StatusCode::kDeadlineExceeded, ""));
}

TEST_F(LoopClientTest, GarbageFromTheServerEndsTheConnection) {
  const auto client = Connect();
  const UniqueFd other(::accept(listener_.get(), nullptr, nullptr));
  ASSERT_OK(WriteAll(other.get(), std::string(64, '\xff')));
  EXPECT_THAT(Ask(*client, "Echo", "x"),
              HasStatus(absl::StatusCode::kUnavailable, "the server sent"));
}

}  // namespace
}  // namespace serai::ttrpc
