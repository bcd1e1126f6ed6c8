// SPDX-License-Identifier: Apache-2.0
// The guard in the kernel: frames written to a tap by hand, and who sees them
// at the other end of the pod's interface.
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "lib/base/subprocess.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "lib/host/tap_guard.h"
#include "tests/lib/host/frames.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tap_peer.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using namespace ::serai::testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

class GuardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    ASSERT_OK(CreateNetns(dir_ / "pod"));
    ASSERT_OK_AND_ASSIGN(pod_, OpenNetns(dir_ / "pod"));
    Run("ip link add eth0 address 02:11:22:33:44:55 type veth peer name far");
    Run("sysctl -qw net.ipv6.conf.far.disable_ipv6=1 "
        "net.ipv6.conf.eth0.disable_ipv6=1");
    Run("ip link set far up");
    Run("ip link set eth0 up");
    ASSERT_OK(RunInNetns(pod_.get(), [&] {
      far_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
      sockaddr_ll to = {};
      to.sll_family = AF_PACKET;
      to.sll_protocol = htons(ETH_P_ALL);
      to.sll_ifindex = static_cast<int>(::if_nametoindex("far"));
      const timeval limit = {10, 0};
      ::setsockopt(far_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      return ::bind(far_.get(), reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) == 0
                 ? absl::OkStatus()
                 : ErrnoStatus(errno, "bind");
    }));
  }

  void TearDown() override {
    pod_.reset();
    EXPECT_OK(RemoveNetns(dir_ / "pod"));
  }

  std::string Run(const std::string& line) {
    std::string output;
    EXPECT_OK(RunInNetns(pod_.get(), [&]() -> absl::Status {
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

  void MakeTap(const std::vector<std::string>& addresses) {
    TapSpec spec;
    spec.addresses = addresses;
    ASSERT_OK(CreateTap(pod_.get(), spec).status());
    ASSERT_OK(RunInNetns(pod_.get(), [&] {
      guest_ = OpenTap("serai0");
      return absl::OkStatus();
    }));
    ASSERT_TRUE(guest_.valid());
  }

  void Send(const std::string& frame) {
    ASSERT_EQ(::write(guest_.get(), frame.data(), frame.size()),
              static_cast<ssize_t>(frame.size()));
  }

  // The next frame that arrives at the far end.
  std::string Receive() {
    std::array<char, 4096> frame;
    const ssize_t size = ::recv(far_.get(), frame.data(), frame.size(), 0);
    return size < 0 ? "" : std::string(frame.data(), static_cast<size_t>(size));
  }

  uint64_t Forged() {
    const auto frames = ReadForgedFrames(pod_.get(), "serai0");
    EXPECT_OK(frames.status());
    return frames.value_or(0);
  }

  TempDir dir_;
  UniqueFd pod_;
  UniqueFd far_;
  UniqueFd guest_;
};

TEST_F(GuardTest, HonestFramesArriveAndForgedOnesAreCounted) {
  MakeTap({"10.77.0.2", "fd00::2"});
  EXPECT_EQ(Forged(), 0U);
  const std::vector<std::string> forged = {
      Ip4Frame(kOtherMac, "10.77.0.2"), Ip4Frame(kPodMac, "10.77.0.3"),
      ArpFrame(kPodMac, kPodMac, "10.77.0.1", 2),
      ArpFrame(kPodMac, kOtherMac, "10.77.0.2", 2),
      Ip6Frame(kPodMac, "fd00::3", 17, "12345678"),
      NdpFrame("fe80::1", 136, "fd00::1"), NdpFrame("fe80::1", 134, "::"),
      // A tag is off the frame when the guard sees it, with an honest frame in
      // it.
      EthernetFrame(
          kPodMac, 0x8100,
          absl::StrCat(Big16(5), Ip4Frame(kPodMac, "10.77.0.2").substr(12))),
      EthernetFrame(
          kPodMac, 0x88a8,
          absl::StrCat(Big16(5), Ip4Frame(kPodMac, "10.77.0.2").substr(12))),
      EthernetFrame(kPodMac, 0x0800, "short")};
  const std::vector<std::string> honest = {
      Ip4Frame(kPodMac, "10.77.0.2"), Ip4Frame(kPodMac, "0.0.0.0", 68, 67),
      ArpFrame(kPodMac, kPodMac, "10.77.0.2", 1),
      Ip6Frame(kPodMac, "fd00::2", 17, "12345678"),
      NdpFrame("::", 135, "fd00::2")};
  for (const std::string& frame : honest) {
    for (const std::string& bad : forged) Send(bad);
    Send(frame);
    EXPECT_EQ(Receive(), frame);
  }
  EXPECT_EQ(Forged(), forged.size() * honest.size());
}

TEST_F(GuardTest, TheNamespaceItselfDoesNotTakeWhatIsForged) {
  Run("ip address add 10.77.0.2/24 dev eth0");
  MakeTap({"10.77.0.2"});
  const std::string before =
      Run("grep ^Udp: /proc/thread-self/net/snmp | tail -1");
  Send(Ip4Frame(kPodMac, "10.77.0.9"));
  EXPECT_EQ(Run("grep ^Udp: /proc/thread-self/net/snmp | tail -1"), before);
  EXPECT_EQ(Forged(), 1U);
}

TEST_F(GuardTest, WithoutAddressesTheMacIsGuarded) {
  MakeTap({});
  Send(Ip4Frame(kOtherMac, "192.0.2.1"));
  Send(Ip4Frame(kPodMac, "192.0.2.1"));
  EXPECT_EQ(Receive(), Ip4Frame(kPodMac, "192.0.2.1"));
  EXPECT_EQ(Forged(), 1U);
}

TEST_F(GuardTest, ATapOfAPluginsIsAdoptedAndGuardedAnew) {
  TapSpec made;
  made.tap = "other0";
  made.owner = "serai-tap-of:net:box:eth0";
  ASSERT_OK(CreateTap(pod_.get(), made).status());
  TapSpec spec;
  spec.addresses = {"10.77.0.2"};
  EXPECT_THAT(CreateTap(pod_.get(), spec).status(),
              HasStatus(absl::StatusCode::kAlreadyExists, "eth0"));
  ASSERT_OK_AND_ASSIGN(const Tap tap, AdoptTap(pod_.get(), spec));
  EXPECT_EQ(tap.mac, kPodMac);
  EXPECT_EQ(tap.mtu, 1500);
  EXPECT_EQ(spec.tap, "other0");
  // Who did not make it does not remove it.
  EXPECT_OK(RemoveTap(pod_.get(), spec));
  EXPECT_OK(RemoveIdleTap(pod_.get(), spec));
  ASSERT_OK(RunInNetns(pod_.get(), [&] {
    guest_ = OpenTap("other0");
    return absl::OkStatus();
  }));
  ASSERT_TRUE(guest_.valid());
  Send(Ip4Frame(kPodMac, "10.77.0.3"));
  Send(Ip4Frame(kPodMac, "10.77.0.2"));
  EXPECT_EQ(Receive(), Ip4Frame(kPodMac, "10.77.0.2"));
  EXPECT_THAT(AdoptTap(pod_.get(), spec).status(),
              HasStatus(absl::StatusCode::kFailedPrecondition, "in use"));
  guest_.reset();
  EXPECT_OK(RemoveTap(pod_.get(), made));
  EXPECT_THAT(AdoptTap(pod_.get(), spec).status(),
              HasStatus(absl::StatusCode::kNotFound, "eth0"));
}

}  // namespace
}  // namespace serai::host
