// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/subprocess.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tap_peer.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::OpenTap;
using ::serai::testing::TapPeer;
using ::serai::testing::TempDir;
using ::testing::HasSubstr;
using ::testing::Not;

// Two namespaces of the test's own: "node" with a bridge, as the bridge plugin
// makes it, and "pod" with eth0, joined by a veth pair.
class TapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    ASSERT_OK(CreateNetns(dir_ / "node"));
    ASSERT_OK(CreateNetns(dir_ / "pod"));
    ASSERT_OK_AND_ASSIGN(node_, OpenNetns(dir_ / "node"));
    ASSERT_OK_AND_ASSIGN(pod_, OpenNetns(dir_ / "pod"));
    Run(node_, "ip link add br0 type bridge");
    Run(node_, "ip address add 10.77.0.1/24 dev br0");
    Run(node_, "ip link set br0 up");
    Run(node_, "ip link add veth0 mtu 1500 type veth peer name pod0");
    Run(node_, "ip link set veth0 master br0 up");
    Run(node_, "ip link set pod0 netns " + (dir_ / "pod") + " name eth0");
    Run(pod_, "ip address add 10.77.0.2/24 dev eth0");
    Run(pod_, "ip link set eth0 up");
  }

  void TearDown() override {
    node_.reset();
    pod_.reset();
    EXPECT_OK(RemoveNetns(dir_ / "pod"));
    EXPECT_OK(RemoveNetns(dir_ / "node"));
  }

  // Runs a command line in a namespace and returns what it prints.
  static std::string Run(const UniqueFd& netns, const std::string& line) {
    std::string output;
    EXPECT_OK(RunInNetns(netns.get(), [&]() -> absl::Status {
      SubprocessSpec spec;
      spec.program = "/bin/sh";
      spec.args = {"-c", line};
      spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
      ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
      EXPECT_EQ(result.exit_code, 0) << line << ": " << result.error_output;
      output = result.output;
      return absl::OkStatus();
    }));
    return output;
  }

  // What a test can leave behind in the pod's namespace.
  std::string PodState() {
    return Run(
        pod_,
        "ip -o link | cut -d: -f2; tc qdisc; tc filter show dev eth0 ingress");
  }

  std::unique_ptr<TapPeer> StartPeer(const Tap& tap) {
    UniqueFd fd;
    EXPECT_OK(RunInNetns(pod_.get(), [&] {
      fd = OpenTap("serai0");
      return absl::OkStatus();
    }));
    EXPECT_TRUE(fd.valid());
    return std::make_unique<TapPeer>(std::move(fd), tap.mac, "10.77.0.2",
                                     static_cast<size_t>(tap.mtu));
  }

  // A socket of the node's connected to the pod's echo port.
  UniqueFd Connect(int type) {
    UniqueFd fd;
    EXPECT_OK(RunInNetns(node_.get(), [&] {
      fd.reset(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
      const timeval limit = {10, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_port = htons(7);
      ::inet_pton(AF_INET, "10.77.0.2", &to.sin_addr);
      return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to),
                       sizeof to) == 0
                 ? absl::OkStatus()
                 : ErrnoStatus(errno, "connect");
    }));
    return fd;
  }

  TempDir dir_;
  UniqueFd node_;
  UniqueFd pod_;
};

std::string Pattern(size_t size) {
  std::string data(size, '\0');
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 7 / 5);
  return data;
}

std::string ReceiveAll(const UniqueFd& fd, size_t size) {
  std::string data;
  std::vector<char> chunk(64 * 1024);
  while (data.size() < size) {
    const ssize_t n = ::recv(fd.get(), chunk.data(), chunk.size(), 0);
    if (n <= 0) break;
    data.append(chunk.data(), static_cast<size_t>(n));
  }
  return data;
}

TEST_F(TapTest, TheTapHasTheInterfacesMtuAndTellsItsMac) {
  Run(pod_, "ip link set eth0 mtu 1400 address 02:11:22:33:44:55");
  ASSERT_OK_AND_ASSIGN(const Tap tap, CreateTap(pod_.get(), {}));
  EXPECT_EQ(tap.mac, "02:11:22:33:44:55");
  EXPECT_EQ(tap.mtu, 1400);
  const std::string link = Run(pod_, "ip -o link show serai0");
  EXPECT_THAT(link, HasSubstr("mtu 1400"));
  EXPECT_THAT(link, HasSubstr(",UP"));
  EXPECT_THAT(link, Not(HasSubstr("02:11:22:33:44:55")));
  EXPECT_EQ(Run(pod_, "ip -6 address show serai0"), "");
}

TEST_F(TapTest, AGuestBehindTheTapAnswersArpPingAndUdp) {
  ASSERT_OK_AND_ASSIGN(const Tap tap, CreateTap(pod_.get(), {}));
  const auto peer = StartPeer(tap);
  const UniqueFd udp = Connect(SOCK_DGRAM);
  for (const size_t size : {size_t{1}, size_t{333}, size_t{1472}}) {
    const std::string data = Pattern(size);
    ASSERT_EQ(::send(udp.get(), data.data(), size, 0),
              static_cast<ssize_t>(size));
    EXPECT_EQ(ReceiveAll(udp, size), data);
  }
  EXPECT_THAT(Run(node_, "ping -c 1 -W 5 10.77.0.2 || true"),
              HasSubstr(" 0% packet loss"));
  EXPECT_THAT(Run(node_, "ip neighbour show 10.77.0.2"), HasSubstr(tap.mac));
  EXPECT_EQ(peer->seen().bad_checksums, 0U);
}

// The node's kernel leaves checksums and segmentation to its devices; a veth
// pair and the redirect must not hand that work on to the guest.
TEST_F(TapTest, TcpThroughTheTapHasChecksumsAndNoOversizedFrames) {
  ASSERT_OK_AND_ASSIGN(const Tap tap, CreateTap(pod_.get(), {}));
  const auto peer = StartPeer(tap);
  const UniqueFd tcp = Connect(SOCK_STREAM);
  const std::string data = Pattern(4 << 20);
  std::thread sender([&] {
    for (size_t at = 0; at < data.size();) {
      const ssize_t n =
          ::send(tcp.get(), data.data() + at, data.size() - at, MSG_NOSIGNAL);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    ::shutdown(tcp.get(), SHUT_WR);
  });
  const absl::Time start = absl::Now();
  const std::string received = ReceiveAll(tcp, data.size());
  RecordProperty(
      "tcp_echo_ms",
      static_cast<int>(absl::ToInt64Milliseconds(absl::Now() - start)));
  sender.join();
  EXPECT_TRUE(received == data) << received.size() << " of " << data.size();
  EXPECT_EQ(peer->seen().bad_checksums, 0U);
  EXPECT_EQ(peer->seen().longest, size_t{1514});
}

TEST_F(TapTest, TheNamespaceItselfSaysNothingToTheGuest) {
  Run(pod_, "sysctl -qw net.ipv6.conf.all.forwarding=1");
  // Nothing from outside either, so that what is seen is the namespace's.
  Run(node_, "ip link set veth0 nomaster");
  Run(node_, "sysctl -qw net.ipv6.conf.veth0.disable_ipv6=1");
  ASSERT_OK_AND_ASSIGN(const Tap tap, CreateTap(pod_.get(), {}));
  const auto peer = StartPeer(tap);
  absl::SleepFor(absl::Seconds(3));
  EXPECT_EQ(peer->seen().frames, 0U);
}

TEST_F(TapTest, RemovalTakesTheTapAndTheRedirectAndCanBeRepeated) {
  ASSERT_OK(CreateTap(pod_.get(), {}));
  EXPECT_THAT(PodState(), HasSubstr("mirred"));
  EXPECT_OK(RemoveTap(pod_.get(), {}));
  EXPECT_THAT(PodState(), Not(HasSubstr("mirred")));
  EXPECT_THAT(PodState(), Not(HasSubstr("serai0")));
  EXPECT_OK(RemoveTap(pod_.get(), {}));
  // The namespace answers for itself again, and the tap can be made again.
  EXPECT_THAT(Run(node_, "ping -c 1 -W 5 10.77.0.2 || true"),
              HasSubstr(" 0% packet loss"));
  EXPECT_OK(CreateTap(pod_.get(), {}));
  EXPECT_OK(RemoveTap(pod_.get(), {}));
}

TEST_F(TapTest, AnotherTapOfTheNameIsNotRemoved) {
  ASSERT_OK_AND_ASSIGN(const Tap first, CreateTap(pod_.get(), {}));
  ASSERT_OK(RemoveTap(pod_.get(), {}, first.index));
  ASSERT_OK_AND_ASSIGN(const Tap second, CreateTap(pod_.get(), {}));
  ASSERT_NE(first.index, second.index);
  const std::string before = PodState();
  EXPECT_OK(RemoveTap(pod_.get(), {}, first.index));
  EXPECT_EQ(PodState(), before);
  EXPECT_OK(RemoveTap(pod_.get(), {}, second.index));
  EXPECT_THAT(PodState(), Not(HasSubstr("serai0")));
}

TEST_F(TapTest, AnIdleTapIsRemovedAndOneInUseIsNot) {
  const std::string before = PodState();
  EXPECT_OK(RemoveIdleTap(pod_.get(), {}));
  EXPECT_EQ(PodState(), before);
  ASSERT_OK_AND_ASSIGN(const Tap tap, CreateTap(pod_.get(), {}));
  auto peer = StartPeer(tap);
  const std::string wired = PodState();
  EXPECT_THAT(RemoveIdleTap(pod_.get(), {}),
              HasStatus(absl::StatusCode::kFailedPrecondition, "in use"));
  EXPECT_EQ(PodState(), wired);
  peer.reset();
  EXPECT_OK(RemoveIdleTap(pod_.get(), {}));
  EXPECT_THAT(PodState(), Not(HasSubstr("serai0")));
  EXPECT_THAT(PodState(), Not(HasSubstr("mirred")));
  EXPECT_OK(CreateTap(pod_.get(), {}).status());
}

TEST_F(TapTest, RemovalWithoutTheInterfaceTakesTheTap) {
  ASSERT_OK(CreateTap(pod_.get(), {}));
  Run(pod_, "ip link delete eth0");
  EXPECT_OK(RemoveTap(pod_.get(), {}));
  EXPECT_THAT(Run(pod_, "ip -o link"), Not(HasSubstr("serai0")));
}

TEST_F(TapTest, FiltersOfOthersStay) {
  Run(pod_, "tc qdisc add dev eth0 clsact");
  Run(pod_,
      "tc filter add dev eth0 ingress protocol ip prio 7 u32 match u32 "
      "0 0 flowid 1:1");
  ASSERT_OK(CreateTap(pod_.get(), {}));
  EXPECT_OK(RemoveTap(pod_.get(), {}));
  const std::string filters = Run(pod_, "tc filter show dev eth0 ingress");
  EXPECT_THAT(filters, HasSubstr("pref 7 "));
  EXPECT_THAT(filters, Not(HasSubstr("mirred")));
}

TEST_F(TapTest, AFailureLeavesNothing) {
  const std::string before = PodState();
  EXPECT_THAT(CreateTap(pod_.get(), {.interface = "eth9"}),
              HasStatus(absl::StatusCode::kNotFound, "eth9"));
  EXPECT_THAT(CreateTap(pod_.get(), {.interface = "lo"}),
              HasStatus(absl::StatusCode::kInvalidArgument, "not an Ethernet"));
  EXPECT_THAT(CreateTap(pod_.get(), {.tap = "eth0"}),
              HasStatus(absl::StatusCode::kAlreadyExists, "eth0"));
  EXPECT_THAT(CreateTap(pod_.get(), {.tap = "serai%d"}),
              HasStatus(absl::StatusCode::kInvalidArgument, "serai%d"));
  EXPECT_THAT(CreateTap(pod_.get(), {.tap = "a-name-too-long-"}),
              HasStatus(absl::StatusCode::kInvalidArgument, "a-name-too"));
  EXPECT_EQ(PodState(), before);
}

TEST_F(TapTest, AFailureOfTheLastStepLeavesNothing) {
  // Stands where the redirect's filter is to be.
  Run(pod_, "tc qdisc add dev eth0 clsact");
  Run(pod_,
      "tc filter add dev eth0 ingress protocol all prio 24138 u32 match "
      "u32 0 0 flowid 1:1");
  const std::string before = PodState();
  EXPECT_THAT(CreateTap(pod_.get(), {}),
              HasStatus(absl::StatusCode::kAlreadyExists, "redirected"));
  EXPECT_EQ(PodState(), before);
}

TEST_F(TapTest, ALinkThatIsNoTapIsNotRemoved) {
  EXPECT_THAT(RemoveTap(pod_.get(), {.interface = "x", .tap = "eth0"}),
              HasStatus(absl::StatusCode::kFailedPrecondition, "eth0"));
  EXPECT_THAT(Run(pod_, "ip -o link"), HasSubstr("eth0"));
}

TEST_F(TapTest, CreationTakesAFewMillisecondsAtMost) {
  ASSERT_OK(CreateTap(pod_.get(), {}));  // loads the kernel's modules
  ASSERT_OK(RemoveTap(pod_.get(), {}));
  absl::Duration best = absl::InfiniteDuration();
  for (int i = 0; i < 20; ++i) {
    const absl::Time start = absl::Now();
    ASSERT_OK(CreateTap(pod_.get(), {}));
    best = std::min(best, absl::Now() - start);
    ASSERT_OK(RemoveTap(pod_.get(), {}));
  }
  RecordProperty("best_us", static_cast<int>(absl::ToInt64Microseconds(best)));
  EXPECT_LT(best, absl::Milliseconds(20));
}

}  // namespace
}  // namespace serai::host
