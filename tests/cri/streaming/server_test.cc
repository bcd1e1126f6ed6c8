// SPDX-License-Identifier: Apache-2.0
// The whole server, over the loopback device, in front of pods that are
// sockets of the test's.
#include "cri/streaming/server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <list>
#include <thread>

#include "gmock/gmock.h"
#include "lib/base/unique_fd.h"
#include "tests/cri/streaming/fake_backend.h"
#include "tests/support/spdy_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/websocket_client.h"

namespace serai::cri::streaming {
namespace {

using testing::ByteChannel;
using testing::SpdyClient;
using testing::WebSocketClient;

class Pod {
 public:
  Pod() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    auto* generic = reinterpret_cast<sockaddr*>(&address_);
    EXPECT_EQ(::bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
  }
  ~Pod() { Join(); }

  uint16_t port() const { return ntohs(address_.sin_port); }
  UniqueFd Accept() const {
    return UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  // The next connection's bytes go to `all`, until there are `size`.
  void ReadOne(size_t size, std::string& all) {
    threads_.emplace_back([fd = Accept(), size, &all] {
      std::array<char, 64 << 10> chunk;
      ssize_t n = 1;
      while (n > 0 && all.size() < size) {
        n = ::read(fd.get(), chunk.data(), chunk.size());
        if (n > 0) all.append(chunk.data(), static_cast<size_t>(n));
      }
    });
  }
  void Join() {
    for (std::thread& thread : std::exchange(threads_, {})) thread.join();
  }

 private:
  const UniqueFd listener_;
  sockaddr_in address_ = {};
  std::list<std::thread> threads_;
};

std::string Upload(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

class StreamingServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, Server::Start({}, backend_));
  }

  absl::StatusOr<std::unique_ptr<SpdyClient>> Forward() {
    ASSIGN_OR_RETURN(const std::string url,
                     server_->PortForwardUrl({"pod", {}}));
    return SpdyClient::Connect(url, {"portforward.k8s.io"});
  }
  absl::StatusOr<std::shared_ptr<SpdyClient::Stream>> Open(SpdyClient& client,
                                                           const Pod& pod,
                                                           int request) {
    SpdyClient::Headers headers = {{"port", absl::StrCat(pod.port())},
                                   {"requestid", absl::StrCat(request)},
                                   {"streamtype", "error"}};
    RETURN_IF_ERROR(client.Open(headers).status());
    headers.back().second = "data";
    return client.Open(headers);
  }

  // Sends to a pod that does not read, until the kernel takes no more for it
  // and much is unread; not so much that the server does not read on.
  static void FillUp(SpdyClient& client, const SpdyClient::Stream& stream) {
    const auto credit = [&] {
      const auto found = client.credits().find(stream.id);
      return found == client.credits().end() ? 0 : found->second;
    };
    const std::string filler(8 << 10, 'x');
    uint64_t sent = 0;
    for (uint64_t before = 0;; before = credit()) {
      for (; sent < before + (96 << 10); sent += filler.size()) {
        ASSERT_OK(client.Write(stream, filler));
      }
      const absl::Status taken = client.PumpUntil(
          [&] { return credit() != before; }, absl::Milliseconds(500));
      if (absl::IsDeadlineExceeded(taken)) return;
      ASSERT_OK(taken);
    }
  }

  FakeBackend backend_;
  std::unique_ptr<Server> server_;
};

TEST_F(StreamingServerTest, UploadsArriveWholeBesideAPodThatDoesNotRead) {
  constexpr size_t kUploads = 4;
  constexpr size_t kPieces = 400;
  constexpr size_t kPiece = 5000;
  Pod pod;
  ASSERT_OK_AND_ASSIGN(const auto client, Forward());
  ASSERT_OK_AND_ASSIGN(const auto stalled, Open(*client, pod, 0));
  const UniqueFd unread = pod.Accept();
  ASSERT_NO_FATAL_FAILURE(FillUp(*client, *stalled));
  std::array<std::string, kUploads> arrived;
  std::array<std::string, kUploads> sent;
  std::vector<std::shared_ptr<SpdyClient::Stream>> streams;
  for (size_t i = 0; i < kUploads; ++i) {
    ASSERT_OK_AND_ASSIGN(auto stream,
                         Open(*client, pod, static_cast<int>(i) + 1));
    streams.push_back(std::move(stream));
    pod.ReadOne(kPieces * kPiece, arrived[i]);
  }
  uint32_t seed = 1;
  for (size_t piece = 0; piece < kPieces; ++piece) {
    for (size_t i = 0; i < kUploads; ++i) {
      const std::string bytes = Upload(kPiece, seed++);
      sent[i] += bytes;
      ASSERT_OK(client->Write(*streams[i], bytes));
    }
  }
  pod.Join();
  for (size_t i = 0; i < kUploads; ++i) {
    EXPECT_TRUE(arrived[i] == sent[i]) << i << ": " << arrived[i].size();
  }
}

TEST_F(StreamingServerTest, AnUploadByChannelArrivesWhole) {
  Pod pod;
  ASSERT_OK_AND_ASSIGN(const std::string url,
                       server_->PortForwardUrl({"pod", {pod.port()}}));
  ASSERT_OK_AND_ASSIGN(const auto client,
                       WebSocketClient::Connect(url, {"v4.channel.k8s.io"}));
  std::string arrived;
  const std::string upload = Upload(4 << 20, 1);
  pod.ReadOne(upload.size(), arrived);
  for (size_t at = 0; at < upload.size(); at += 20'000) {
    ASSERT_OK(client->Send(WebSocketClient::kBinary,
                           std::string(1, '\0') + upload.substr(at, 20'000)));
  }
  pod.Join();
  EXPECT_TRUE(arrived == upload) << arrived.size();
}

TEST_F(StreamingServerTest, ThePodHearsOfAClientThatHasVanished) {
  Pod pod;
  ASSERT_OK_AND_ASSIGN(auto client, Forward());
  ASSERT_OK(Open(*client, pod, 0));
  const UniqueFd end = pod.Accept();
  ASSERT_OK_AND_ASSIGN(const std::string url,
                       server_->PortForwardUrl({"pod", {pod.port()}}));
  ASSERT_OK_AND_ASSIGN(auto socket,
                       WebSocketClient::Connect(url, {"v4.channel.k8s.io"}));
  const UniqueFd end_of_channel = pod.Accept();
  client = nullptr;
  socket = nullptr;
  char byte = 0;
  EXPECT_LE(::read(end.get(), &byte, 1), 0);
  EXPECT_LE(::read(end_of_channel.get(), &byte, 1), 0);
}

}  // namespace
}  // namespace serai::cri::streaming
