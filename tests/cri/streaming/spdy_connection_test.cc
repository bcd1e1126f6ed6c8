// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_connection.h"

#include <boost/asio/io_context.hpp>

#include "gmock/gmock.h"
#include "tests/cri/streaming/fake_host.h"
#include "tests/cri/streaming/fake_service.h"
#include "tests/cri/streaming/fake_transport.h"

namespace serai::cri::streaming {
namespace {

using spdy::ClientData;
using spdy::ClientFrame;
using spdy::ClientSynStream;
using spdy::FrameType;
using spdy::kMaxUnreadBytes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Bytes that tell when some are missing, or come twice.
std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

class SpdyConnectionTest : public ::testing::Test {
 protected:
  ~SpdyConnectionTest() override {
    transport_->End();
    transport_->Close();
    io_.poll();
    EXPECT_FALSE(transport_->misused);
  }

  void Start(const std::string& first = "") {
    std::make_shared<SpdyConnection>(io_.get_executor(), transport_, service_)
        ->Start(first);
  }
  std::string Open(uint32_t id, const std::string& type) {
    return ClientSynStream(encoder_, id, {{"streamtype", type}});
  }
  void Receive(const std::string& bytes) {
    transport_->Receive(bytes);
    io_.poll();
  }

  boost::asio::io_context io_;
  const std::shared_ptr<FakeTransport> transport_ =
      std::make_shared<FakeTransport>(io_.get_executor());
  const std::shared_ptr<FakeService> service_ = std::make_shared<FakeService>();
  spdy::HeaderEncoder encoder_;  // the client's
};

TEST_F(SpdyConnectionTest, AnUploadArrivesWholeBesideAStreamThatNobodyReads) {
  Start(Open(1, "left"));
  Receive(Open(3, "data"));
  Receive(ClientData(1, std::string(kMaxUnreadBytes - 1000, 'x')));
  // Each piece is too much for a moment, in the midst of what has come.
  const std::string upload = Pattern(1 << 20);
  std::string frames;
  for (size_t at = 0; at < upload.size(); at += 1500) {
    frames += ClientData(3, upload.substr(at, 1500));
  }
  Receive(frames);
  EXPECT_EQ(transport_->left(), 0U);
  EXPECT_FALSE(transport_->closed);
  EXPECT_TRUE(service_->got[3] == upload) << service_->got[3].size();
}

TEST_F(SpdyConnectionTest, ReadingStopsForWhatIsUnreadAndGoesOn) {
  Start();
  Receive(Open(1, "left"));
  const std::string upload = Pattern(3 * kMaxUnreadBytes);
  Receive(ClientData(1, upload));
  EXPECT_GE(transport_->left(), kMaxUnreadBytes);
  service_->ReadAll(1);
  io_.poll();
  EXPECT_EQ(transport_->left(), 0U);
  EXPECT_TRUE(service_->got[1] == upload);
}

TEST_F(SpdyConnectionTest, TheClientsEndIsSeenOnceNothingIsUnread) {
  Start();
  Receive(Open(1, "left"));
  Receive(Open(3, "data"));
  Receive(ClientData(1, std::string(2 * kMaxUnreadBytes, 'x')));
  transport_->End();
  io_.poll();
  EXPECT_FALSE(service_->closed);
  service_->streams[1]->Reset();
  io_.poll();
  EXPECT_TRUE(service_->closed);
  EXPECT_TRUE(transport_->closed);
  EXPECT_EQ(service_->aborted, 1);
}

TEST_F(SpdyConnectionTest, AClientThatReadsNoAnswersIsNotReadFrom) {
  Start();
  transport_->Take(false);
  std::string pings;
  for (int i = 0; i < 100'000; ++i) {
    pings += ClientFrame(FrameType::kPing, 0, std::string("\0\0\0\1", 4));
  }
  Receive(pings);
  EXPECT_GT(transport_->left(), pings.size() / 2);
  transport_->Take(true);
  io_.poll();
  EXPECT_EQ(transport_->left(), 0U);
  EXPECT_EQ(transport_->written.size(), pings.size());
}

TEST_F(SpdyConnectionTest, WhatIsWrittenIsSentBeforeTheEnd) {
  Start();
  Receive(Open(1, "data"));
  transport_->Take(false);
  service_->streams[1]->Write("last words", nullptr);
  service_->Finish();
  io_.poll();
  EXPECT_FALSE(transport_->shut_down);
  transport_->Take(true);
  io_.poll();
  EXPECT_THAT(transport_->written, HasSubstr("last words"));
  EXPECT_TRUE(transport_->shut_down);
  EXPECT_FALSE(transport_->closed);
  transport_->End();
  io_.poll();
  EXPECT_TRUE(transport_->closed);
}

TEST_F(SpdyConnectionTest, WhatIsNoSpdyEndsIt) {
  Start(Open(1, "data"));
  Receive("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(service_->closed);
  EXPECT_TRUE(transport_->shut_down);
  EXPECT_EQ(service_->aborted, 1);
  EXPECT_THAT(service_->got, IsEmpty());
}

}  // namespace
}  // namespace serai::cri::streaming
