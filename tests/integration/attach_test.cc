// SPDX-License-Identifier: Apache-2.0
// Attach as kubelet and crictl use it: the console of real guests.
#include <array>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/integration/streaming_fixture.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kSuccess[] = R"({"metadata":{},"status":"Success"})";

// Has the guest `web` write a line to its console.
void Log(const std::string& ip, absl::string_view text) {
  EXPECT_OK(HttpGet(ip, 80, absl::StrCat("/log?text=", text)));
}

class AttachTest : public StreamingFixture {
 protected:
  struct Attached {
    std::unique_ptr<SpdyClient> client;
    std::shared_ptr<SpdyClient::Stream> error;
    std::shared_ptr<SpdyClient::Stream> in;
    std::shared_ptr<SpdyClient::Stream> out;

    absl::Status WaitFor(absl::string_view text) const {
      return client->PumpUntil(
          [&] { return absl::StrContains(out->data, text); });
    }
  };

  absl::StatusOr<Attached> Attach(const std::string& container,
                                  bool in = false) {
    Attached attached;
    ASSIGN_OR_RETURN(attached.client, AttachTo(container, in));
    ASSIGN_OR_RETURN(attached.error,
                     attached.client->Open({{"streamtype", "error"}}));
    if (in) {
      ASSIGN_OR_RETURN(attached.in,
                       attached.client->Open({{"streamtype", "stdin"}}));
    }
    ASSIGN_OR_RETURN(attached.out,
                     attached.client->Open({{"streamtype", "stdout"}}));
    return attached;
  }
};

TEST_F(AttachTest, TheLastLinesComeFirstThenWhatIsNewUntilTheGuestEnds) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  Log(web.ip, "before");
  ASSERT_OK_AND_ASSIGN(const Attached attached, Attach(web.container));
  EXPECT_EQ(attached.client->protocol(), "v4.channel.k8s.io");
  ASSERT_OK(attached.WaitFor("before\n"));
  EXPECT_THAT(attached.out->data, HasSubstr("web: listening on"));
  Log(web.ip, "after");
  ASSERT_OK(attached.WaitFor("after\n"));
  (void)HttpGet(web.ip, 80, "/exit?code=3");
  ASSERT_OK_AND_ASSIGN(const std::string all,
                       attached.client->ReadToEnd(*attached.out));
  EXPECT_THAT(all, HasSubstr("web: exiting with status 3"));
  ASSERT_OK_AND_ASSIGN(const std::string status,
                       attached.client->ReadToEnd(*attached.error));
  EXPECT_EQ(status, kSuccess);
  EXPECT_EQ(attached.client->PumpUntil([] { return false; }).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(attached.client->went_away());
}

TEST_F(AttachTest, InputIsTakenAndForgotten) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const Attached attached, Attach(web.container, true));
  ASSERT_OK(attached.client->Write(*attached.in, std::string(2 << 20, 'x')));
  Log(web.ip, "still");
  ASSERT_OK(attached.WaitFor("still\n"));
  ASSERT_OK(attached.client->Write(*attached.in, "", true));
  Log(web.ip, "here");
  ASSERT_OK(attached.WaitFor("here\n"));
}

// Keeps the end of what comes.
struct Listener {
  void Take(absl::string_view data) {
    end.append(data.data(), data.size());
    lost = lost || absl::StrContains(end, "bytes came too fast");
    if (end.size() > 8192) end.erase(0, end.size() - 4096);
  }
  std::string end;
  bool lost = false;
};

TEST_F(AttachTest, ASlowClientHoldsBackNoOther) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("flood", {"flood.spt"}));
  // Much more than all the sockets on the way hold. The last line comes when
  // the pipe has room for it: what has none there is lost.
  ASSERT_OK_AND_ASSIGN(
      const auto flood,
      node_->Run("flood", image,
                 {"--wait=5", "--rest=3", "--lines=20000", "--bytes=2000"}));
  const std::string last = "00020000";
  std::vector<Attached> clients;
  std::array<Listener, 5> listeners;
  for (Listener& listener : listeners) {
    ASSERT_OK_AND_ASSIGN(Attached attached, Attach(flood.container));
    attached.out->sink = [&listener](absl::string_view data) {
      listener.Take(data);
    };
    clients.push_back(std::move(attached));
  }
  const auto wait_for_last = [&](size_t i) {
    return clients[i].client->PumpUntil(
        [&] { return absl::StrContains(listeners[i].end, last); },
        absl::Minutes(2));
  };
  // The others don't read.
  ASSERT_OK(wait_for_last(0));
  ASSERT_OK(clients[0].client->ReadToEnd(*clients[0].error));
  // They read at last, to the end of it.
  for (size_t i = 1; i < clients.size(); ++i) {
    ASSERT_OK(wait_for_last(i));
    EXPECT_TRUE(listeners[i].lost) << i;
    EXPECT_LT(clients[i].out->size, 30'000'000U) << i;
    ASSERT_OK_AND_ASSIGN(const std::string status,
                         clients[i].client->ReadToEnd(*clients[i].error));
    EXPECT_EQ(status, kSuccess);
  }
}

TEST_F(AttachTest, WhatCannotBeAttachedToIsSaid) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  EXPECT_EQ(AttachUrl("nosuch").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(AttachUrl(web.container, false, /*tty=*/true, /*err=*/true)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  (void)HttpGet(web.ip, 80, "/exit?code=0");
  ASSERT_OK(node_->WaitExited(web.container));
  const auto exited = AttachUrl(web.container).status();
  EXPECT_EQ(exited.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(exited.message()), HasSubstr("has exited"));
  auto config =
      node_->ContainerConfig(node_->StatusOf(web.container)->image_id(), {});
  config.mutable_metadata()->set_attempt(1);
  ASSERT_OK_AND_ASSIGN(const std::string created,
                       node_->Create(web.pod, config));
  const auto early = AttachUrl(created).status();
  EXPECT_THAT(std::string(early.message()), HasSubstr("has not been started"));
}

TEST_F(AttachTest, ExecSaysWhatToUseInstead) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  Call call;
  cri::ExecRequest request;
  request.set_container_id(web.container);
  request.add_cmd("sh");
  cri::ExecResponse response;
  const auto status =
      FromGrpc(node_->runtime().Exec(call.get(), request, &response));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("attach"));
  // The path says the same.
  ASSERT_OK_AND_ASSIGN(std::string url, AttachUrl(web.container));
  url.replace(url.find("/attach/"), 8, "/exec/");
  const auto refused = SpdyClient::Connect(url, {"v4.channel.k8s.io"}).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("501"));
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("no processes to execute a command in"));
}

}  // namespace
}  // namespace serai::testing
