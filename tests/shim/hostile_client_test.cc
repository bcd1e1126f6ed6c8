// SPDX-License-Identifier: Apache-2.0
// Clients that lie, flood, hang and vanish, against the real program: it lives,
// it stays small, and it serves its other clients.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::PodShim;

// What the frames of all clients may come to, and what the allocator keeps.
constexpr uint64_t kMaxRssKb = 48 * 1024;

UniqueFd ConnectRaw(const std::string& path, int flags = 0) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)) != 0) {
    if (errno != EAGAIN && errno != EINTR) return UniqueFd();
    absl::SleepFor(absl::Milliseconds(1));
  }
  return fd;
}

std::string RequestFrame(uint32_t stream, absl::string_view service,
                         absl::string_view method, absl::string_view request) {
  return *ttrpc::EncodeFrame(
      stream, ttrpc::FrameType::kRequest,
      ttrpc::EncodeRequest(service, method, request, absl::Seconds(1)));
}

// Sends what is taken without waiting; the bytes that were.
size_t SendSome(int fd, absl::string_view bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  return sent;
}

// Waits until the other end has closed the connection, taking what comes.
bool IsClosed(int fd) {
  const timeval patience = {10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::string chunk(1 << 16, '\0');
  ssize_t n = 0;
  while ((n = ::read(fd, chunk.data(), chunk.size())) > 0) {
  }
  return n == 0 || errno == ECONNRESET;
}

class HostileClientTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_OK(Ping());
    for (int i = 0; i < 500 && OpenDescriptors() > descriptors_; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(OpenDescriptors(), descriptors_);
    ExpectSmall();
  }

  absl::Status Ping() {
    return shim_.Call<task::ConnectResponse>("Connect", task::ConnectRequest())
        .status();
  }

  size_t OpenDescriptors() {
    return ListDir(absl::StrCat("/proc/", shim_.pid(), "/fd"))->size();
  }

  void ExpectSmall() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const auto text =
        ReadFile(absl::StrCat("/proc/", shim_.pid(), "/status"), 1 << 16);
    ASSERT_OK(text);
    for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
      uint64_t peak = 0;
      if (words.size() != 3 || words[0] != "VmHWM:") continue;
      ASSERT_TRUE(absl::SimpleAtoi(words[1], &peak));
      EXPECT_LE(peak, kMaxRssKb);
      RecordProperty("peak_rss_kb", static_cast<int>(peak));
    }
#endif
  }

  UniqueFd Connect() { return ConnectRaw(shim_.socket_path()); }

  PodShim shim_;
  const size_t descriptors_ = OpenDescriptors();
};

TEST_F(HostileClientTest, GarbageCostsItsSenderTheConnection) {
  const std::vector<std::string> garbage = {
      std::string(64, '\xff'),
      "GET / HTTP/1.1\r\nHost: shim\r\n\r\n",
      std::string("\0\0\0\0\0\0\0\1\3\0", 10),    // data on no stream
      std::string("\0\0\0\0\0\0\0\1\2\0", 10),    // an answer to nothing
      std::string("\0\0\0\0\0\0\0\2\1\0", 10),    // an even stream
      std::string("\0\x41\0\0\0\0\0\1\1\0", 10),  // over 4 MiB
      std::string("\xff\xff\xff\xff\0\0\0\1\1\0", 10),
      std::string("\0\0\0\0\0\0\0\1\x7f\0", 10)};  // an unknown type
  for (const std::string& bytes : garbage) {
    const UniqueFd fd = Connect();
    ASSERT_OK(WriteAll(fd.get(), bytes));
    EXPECT_TRUE(IsClosed(fd.get()));
    EXPECT_OK(Ping());
  }
}

TEST_F(HostileClientTest, AStreamUsedTwiceAtATimeCostsTheConnection) {
  ASSERT_OK(shim_.Create("a", shim_.Spec("a", "hello.spt")));
  task::WaitRequest wait;
  wait.set_id("a");
  const std::string frame =
      RequestFrame(1, ttrpc::kTaskService, "Wait", wait.SerializeAsString());
  const UniqueFd fd = Connect();
  ASSERT_OK(WriteAll(fd.get(), frame + frame));
  EXPECT_TRUE(IsClosed(fd.get()));
  EXPECT_OK(shim_.Delete("a"));
}

TEST_F(HostileClientTest, RandomBytesDoNothing) {
  std::mt19937 random(4711);
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random() % 4096, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    // Half of them with a header that is right.
    if (round % 2 == 0) {
      bytes = *ttrpc::EncodeFrame(1, ttrpc::FrameType::kRequest, bytes);
    }
    const UniqueFd fd = Connect();
    SendSome(fd.get(), bytes);
    ::shutdown(fd.get(), SHUT_WR);
    EXPECT_TRUE(IsClosed(fd.get()));
  }
}

TEST_F(HostileClientTest, UnknownMethodsAndServicesAreToldSo) {
  const auto call = [&](const char* service, const std::string& method) {
    return shim_.client()
        .Call(service, method, "", absl::Now() + absl::Seconds(5))
        .status();
  };
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  EXPECT_THAT(call(ttrpc::kTaskService, "Frobnicate"),
              HasStatus(kUnimplemented, "no method"));
  EXPECT_THAT(call("no.such.Service", "State"),
              HasStatus(kUnimplemented, "no service"));
  EXPECT_THAT(call("", ""), HasStatus(kUnimplemented, "no service"));
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_THAT(call(ttrpc::kTaskService, absl::StrCat("M", i)),
                HasStatus(kUnimplemented, "no method"));
  }
}

TEST_F(HostileClientTest, HalfFramesOfManyClientsStayBounded) {
  // A header that promises 4 MiB, and nearly all of them, a hundred times.
  std::string half = *ttrpc::EncodeFrame(1, ttrpc::FrameType::kRequest,
                                         std::string(4 << 20, 'x'));
  half.resize(half.size() - 1);
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 100; ++i) {
    connections.push_back(Connect());
    size_t sent = 0;
    // As fast as it is taken, until it is whole or the shim had enough.
    for (int turn = 0; turn < 2'000 && sent < half.size(); ++turn) {
      const size_t n = SendSome(connections.back().get(),
                                absl::string_view(half).substr(sent));
      if (n == 0 && errno != EAGAIN) break;
      if (n == 0) absl::SleepFor(absl::Microseconds(100));
      sent += n;
    }
    ASSERT_OK(Ping());
  }
}

TEST_F(HostileClientTest, NobodyWhoTakesNoAnswersHoldsUpOthers) {
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 50; ++i) {
    connections.push_back(Connect());
    for (uint32_t stream = 1; stream < 20'000; stream += 2) {
      const std::string frame =
          RequestFrame(stream, ttrpc::kTaskService, std::string(500, 'm'), "");
      if (SendSome(connections.back().get(), frame) < frame.size()) break;
    }
  }
  EXPECT_OK(Ping());
  // One who reads at last finds what it asked for.
  char byte = 1;
  EXPECT_EQ(::read(connections[0].get(), &byte, 1), 1);
  EXPECT_EQ(byte, 0);
}

TEST_F(HostileClientTest, AThousandConnectionsLeaveTheShimServing) {
  {
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 1000; ++i) connections.push_back(Connect());
    EXPECT_OK(Ping());
    EXPECT_LE(OpenDescriptors(), 200U);
  }
  // And new ones are served again.
  absl::Status pinged = absl::UnknownError("");
  for (int i = 0; i < 500 && !pinged.ok(); ++i) {
    const auto client = shim_.NewClient();
    pinged = client
                 ->Call(ttrpc::kTaskService, "Connect", "",
                        absl::Now() + absl::Seconds(5))
                 .status();
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_OK(pinged);
}

TEST_F(HostileClientTest, ClientsThatVanishLeaveNothing) {
  ASSERT_OK(shim_.Create("a", shim_.Spec("a", "hello.spt")));
  task::WaitRequest wait;
  wait.set_id("a");
  // Each with a call under way that is answered when nobody is there any more.
  const std::string frame =
      RequestFrame(1, ttrpc::kTaskService, "Wait", wait.SerializeAsString());
  for (int i = 0; i < 20'000; ++i) {
    const UniqueFd fd = Connect();
    SendSome(fd.get(), frame);
  }
  EXPECT_OK(Ping());
  EXPECT_OK(shim_.Start("a"));
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  EXPECT_OK(shim_.Delete("a"));
}

}  // namespace
}  // namespace serai::shim
