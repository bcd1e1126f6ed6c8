// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/port_forward.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/match.h"
#include "cri/streaming/forwarded_connection.h"
#include "tests/cri/streaming/service_fixture.h"

namespace serai::cri::streaming {
namespace {

using boost::asio::ip::tcp;
using spdy::ClientData;
using spdy::ClientReset;
using spdy::kFlagFin;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

class PortForwardServiceTest : public ServiceFixture {
 protected:
  PortForwardServiceTest() {
    // Of which the kernel keeps little for a pod that does not read.
    pod_.open(tcp::v4());
    pod_.set_option(boost::asio::socket_base::receive_buffer_size(4096));
    pod_.bind(tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    pod_.listen();
  }
  ~PortForwardServiceTest() override { session_.Abort(); }

  // To be the service of the session; with `connections` it is one of channels.
  void Serve(size_t connections = 0) {
    service_ = std::make_shared<PortForward>(io_.get_executor(), backend_,
                                             "pod", connections, forwarded_);
    service_->Start([this] { ++finished_; });
    host_.service = service_.get();
  }
  spdy::Headers Of(const std::string& type, const std::string& request) {
    return {{"streamtype", type},
            {"port", absl::StrCat(pod_.local_endpoint().port())},
            {"requestid", request}};
  }
  // Streams `id` and the next one; the pod's end of their connection.
  tcp::socket Connect(uint32_t id, const std::string& request) {
    Open(id, Of("error", request), kFlagFin);
    Open(id + 2, Of("data", request));
    return pod_.accept();
  }
  // More than the kernel keeps on its way to a pod that does not read.
  void SendTooMuch(uint32_t id) {
    for (int i = 0; i < 128; ++i) {
      Receive(ClientData(id, std::string(64 << 10, 'x')));
      io_.poll();
      io_.restart();
    }
    ASSERT_GT(session_.unread(), 0U);
  }
  // How many connections there are.
  long Forwarded() const { return forwarded_.use_count() - 2; }

  tcp::acceptor pod_{io_};
  const std::shared_ptr<const int> forwarded_ = std::make_shared<int>(0);
  std::shared_ptr<PortForward> service_;
  int finished_ = 0;
};

TEST_F(PortForwardServiceTest, BytesGoBothWaysAndEachSideEndsForItself) {
  Serve();
  tcp::socket pod = Connect(1, "0");
  host_.Frames();
  Receive(ClientData(3, "question", true));
  pod.non_blocking(true);
  std::string question(100, '\0');
  size_t size = 0;
  boost::system::error_code end;
  ASSERT_TRUE(RunUntil([&] {
    size += pod.read_some(boost::asio::buffer(question) + size, end);
    return end == boost::asio::error::eof;
  }));
  EXPECT_EQ(question.substr(0, size), "question");
  boost::asio::write(pod, boost::asio::buffer("answer", 6));
  pod.close();
  ASSERT_TRUE(RunUntil([&] { return session_.open_streams() == 0; }));
  EXPECT_THAT(host_.Frames(),
              ElementsAre("DATA 3 answer", "DATA 3  FIN", "DATA 1  FIN"));
  EXPECT_EQ(Forwarded(), 0);
}

TEST_F(PortForwardServiceTest, HalfAPairThatIsResetIsForgotten) {
  Serve();
  uint32_t id = 1;
  for (const char* type : {"data", "error"}) {
    for (int i = 0; i < 3; ++i, id += 2) {
      Open(id, Of(type, "7"));
      // It would be reset beside another one of its kind.
      EXPECT_EQ(session_.open_streams(), 1U);
      Receive(ClientReset(id));
    }
  }
  EXPECT_EQ(backend_.dialled, 0);
}

TEST_F(PortForwardServiceTest, AStreamThatWasResetIsNotPaired) {
  Serve();
  Open(1, Of("data", "7"));
  Receive(ClientReset(1));
  Open(3, Of("error", "7"));
  EXPECT_EQ(backend_.dialled, 0);
  EXPECT_EQ(Forwarded(), 0);
  // The pair is whole with the next.
  Open(5, Of("data", "7"));
  EXPECT_EQ(backend_.dialled, 1);
  EXPECT_EQ(Forwarded(), 1);
  Receive(ClientReset(5));
  ASSERT_TRUE(RunUntil([&] { return Forwarded() == 0; }));
}

TEST_F(PortForwardServiceTest, APairsEndLeavesTheNextOneWithItsRequestAlone) {
  Serve();
  tcp::socket first = Connect(1, "7");
  Open(5, Of("error", "7"));
  Receive(ClientReset(1) + ClientReset(3));
  Open(7, Of("data", "7"));
  EXPECT_EQ(backend_.dialled, 2);
  Receive(ClientReset(7));
  ASSERT_TRUE(RunUntil([&] { return Forwarded() == 0; }));
}

TEST_F(PortForwardServiceTest, AnotherOfOneKindIsReset) {
  Serve();
  Open(1, Of("error", "7"));
  host_.Frames();
  Open(3, Of("error", "7"));
  EXPECT_THAT(host_.Frames(), ElementsAre("SYN_REPLY 3", "RST_STREAM 3 5"));
  Open(5, Of("data", "7"));
  EXPECT_EQ(backend_.dialled, 1);
}

TEST_F(PortForwardServiceTest, WhatCannotBeServedIsSaidAndWhatIsSentForgotten) {
  Serve();
  const std::string long_request(65, '7');
  Open(1, Of("error", long_request));
  Open(3, Of("data", long_request));
  Open(5, {{"streamtype", "error"}, {"port", "80x"}});
  const auto frames = host_.Frames();
  EXPECT_THAT(frames, Contains(HasSubstr("longer than 64 bytes")));
  EXPECT_THAT(frames, Contains("RST_STREAM 3 5"));
  EXPECT_THAT(frames, Contains(HasSubstr("is no TCP port")));
  Receive(ClientData(1, "more") + ClientData(5, "more"));
  EXPECT_EQ(session_.unread(), 0U);
}

TEST_F(PortForwardServiceTest,
       TheLastOfAFewConnectionsIsTheEndAlsoWhenThereIsNoRoom) {
  Serve(/*connections=*/2);
  const std::vector<std::shared_ptr<const int>> others(
      PortForward::kMaxForwarded, forwarded_);
  for (const uint32_t id : {1U, 5U}) {
    EXPECT_EQ(finished_, 0);
    Open(id, Of("error", absl::StrCat(id)));
    Open(id + 2, Of("data", absl::StrCat(id)));
    EXPECT_THAT(host_.Frames(), Contains(HasSubstr("too many connections")));
    Receive(ClientData(id, "more"));
    EXPECT_EQ(session_.unread(), 0U);
  }
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(backend_.dialled, 0);
}

TEST_F(PortForwardServiceTest, APodThatTakesNothingIsGivenUp) {
  Open(1, Of("error", "7"));
  Open(3, Of("data", "7"));
  int ended = 0;
  std::make_shared<ForwardedConnection>(
      io_.get_executor(), "pod", pod_.local_endpoint().port(), host_.streams[1],
      host_.streams[0], [&] { ++ended; }, std::chrono::milliseconds(300))
      ->Start(std::vector<std::string>{"127.0.0.1"});
  const tcp::socket pod = pod_.accept();
  SendTooMuch(3);
  host_.Frames();
  ASSERT_TRUE(RunUntil([&] { return ended == 1; }));
  EXPECT_THAT(host_.Frames(), IsSupersetOf({"RST_STREAM 3 5", "DATA 1  FIN"}));
  // What it did not take holds up the client's other streams no more.
  EXPECT_TRUE(session_.wants_input());
}

TEST_F(PortForwardServiceTest, NoConnectionOutlivesTheClientForItsLastBytes) {
  Serve();
  tcp::socket pod = Connect(1, "7");
  SendTooMuch(3);
  Receive(ClientData(3, "", true));
  pod.shutdown(tcp::socket::shutdown_send);
  // Both streams are over, and the session knows nothing of them.
  ASSERT_TRUE(RunUntil([&] {
    return absl::StrContains(host_.sent, spdy::DataFrameHeader(3, 0, true));
  }));
  EXPECT_EQ(Forwarded(), 1);
  session_.Abort();
  service_->OnClosed();
  EXPECT_TRUE(RunUntil([&] { return Forwarded() == 0; }));
}

// It is mostly held by who would be called.
TEST_F(PortForwardServiceTest, AStreamThatIsOverKeepsNoOneWhoWouldBeTold) {
  Open(1, Of("data", "7"));
  Receive(ClientReset(1));
  const auto held = std::make_shared<int>(0);
  host_.streams[0]->OnAbort([held] {});
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace serai::cri::streaming
