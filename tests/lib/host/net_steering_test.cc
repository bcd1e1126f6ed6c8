// SPDX-License-Identifier: Apache-2.0
// Three guests at one interface: which of them sees what arrives there, and
// what the others send.
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>

#include "lib/base/subprocess.h"
#include "lib/host/netns.h"
#include "lib/host/steering.h"
#include "lib/host/tap.h"
#include "tests/lib/host/frames.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tap_peer.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using namespace ::serai::testing;  // NOLINT(google-build-using-namespace)

constexpr char kPod4[] = "10.77.0.7";
constexpr char kPod6[] = "fd77::7";
constexpr char kRemote4[] = "10.9.9.9";
constexpr char kRemote6[] = "fd99::9";
constexpr char kRemoteMac[] = "02:99:99:99:99:99";
constexpr int kTimeoutMs = 5000;

std::string Frame(const std::string& to, const std::string& from, size_t type,
                  const std::string& payload) {
  return absl::StrCat(MacBytes(to), MacBytes(from), Big16(type), payload);
}

std::string Ip4(const std::string& from, const std::string& to, char protocol,
                const std::string& body, size_t fragment = 0) {
  return absl::StrCat("\x45", std::string(1, '\0'), Big16(20 + body.size()),
                      Big16(1), Big16(fragment), "\x40",
                      std::string(1, protocol), Big16(0), AddressBytes(from),
                      AddressBytes(to), body);
}

std::string Ip6(const std::string& from, const std::string& to, char protocol,
                const std::string& body) {
  return absl::StrCat(absl::HexStringToBytes("60000000"), Big16(body.size()),
                      std::string(1, protocol), "\xff", AddressBytes(from),
                      AddressBytes(to), body);
}

std::string Ports(size_t from, size_t to) {
  return absl::StrCat(Big16(from), Big16(to), Big16(8), Big16(0));
}

std::string Icmp(int type, size_t number) {
  return absl::StrCat(std::string(1, static_cast<char>(type)),
                      std::string(3, '\0'), Big16(number), Big16(1));
}

class SteeringTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    ASSERT_OK(CreateNetns(dir_ / "pod"));
    ASSERT_OK_AND_ASSIGN(pod_, OpenNetns(dir_ / "pod"));
    Run("ip link add eth0 address 02:11:22:33:44:55 type veth peer name far;"
        "sysctl -qw net.ipv6.conf.far.disable_ipv6=1 "
        "net.ipv6.conf.eth0.disable_ipv6=1;"
        "ip link set far up; ip link set eth0 up");
    ASSERT_OK(RunInNetns(pod_.get(), [&] { return OpenFar(); }));
    for (const std::string& name : guests_) {
      TapSpec spec;
      spec.tap = name;
      spec.addresses = {kPod4, kPod6};
      spec.shared = name != "serai0";
      ASSERT_OK(CreateTap(pod_.get(), spec).status());
      ASSERT_OK(RunInNetns(pod_.get(), [&] {
        ends_[name] = OpenTap(name);
        return absl::OkStatus();
      }));
    }
  }
  void TearDown() override {
    pod_.reset();
    EXPECT_OK(RemoveNetns(dir_ / "pod"));
  }

  absl::Status OpenFar() {
    ends_["far"] = UniqueFd(
        ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_ll to = {};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETH_P_ALL);
    to.sll_ifindex = static_cast<int>(::if_nametoindex("far"));
    return ::bind(ends_["far"].get(), reinterpret_cast<const sockaddr*>(&to),
                  sizeof to) == 0
               ? absl::OkStatus()
               : ErrnoStatus(errno, "bind");
  }

  void Run(const std::string& line) {
    EXPECT_OK(RunInNetns(pod_.get(), [&]() -> absl::Status {
      SubprocessSpec spec;
      spec.program = "/bin/sh";
      spec.args = {"-ec", line};
      spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
      ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
      EXPECT_EQ(result.exit_code, 0) << line << ": " << result.error_output;
      return absl::OkStatus();
    }));
  }

  void SteerAll() {
    ASSERT_OK(Steer(pod_.get(), "eth0",
                    {{"serai0", {}},
                     {"serai0-2", {{8080, IPPROTO_TCP}, {53, IPPROTO_UDP}}},
                     {"serai0-3", {{9090, IPPROTO_TCP}}}}));
  }

  // Where `frame` arrives that was sent at `end`; each frame arrives by the
  // time that the one after it does.
  std::vector<std::string> SeenBy(const std::string& end,
                                  const std::string& frame) {
    Write(end, frame);
    // To all, so that nobody is waited for in vain: an answer to ARP.
    Write("far",
          Frame("ff:ff:ff:ff:ff:ff", kRemoteMac, 0x0806,
                absl::StrCat(absl::HexStringToBytes("0001080006040002"),
                             MacBytes(kRemoteMac), AddressBytes(kRemote4),
                             std::string(6, 1), AddressBytes(kPod4))));
    std::vector<std::string> seen;
    for (const std::string& name : guests_) {
      if (ReadUntilArp(name, frame)) seen.push_back(name);
    }
    if (end != "far" && Arrived("far", frame)) seen.emplace_back("far");
    return seen;
  }

  void Write(const std::string& end, const std::string& frame) {
    ASSERT_EQ(::write(ends_[end].get(), frame.data(), frame.size()),
              static_cast<ssize_t>(frame.size()));
  }

  std::string Read(const std::string& end, int timeout_ms) {
    pollfd ready = {ends_[end].get(), POLLIN, 0};
    if (::poll(&ready, 1, timeout_ms) != 1) return "";
    std::array<char, 4096> frame;
    const ssize_t size = ::read(ends_[end].get(), frame.data(), frame.size());
    return size < 0 ? "" : std::string(frame.data(), static_cast<size_t>(size));
  }
  bool ReadUntilArp(const std::string& end, const std::string& wanted) {
    bool found = false;
    for (;;) {
      const std::string frame = Read(end, kTimeoutMs);
      EXPECT_FALSE(frame.empty()) << "no ARP at " << end;
      if (frame.empty() || frame.substr(12, 2) == Big16(0x0806)) return found;
      if (frame == wanted) found = true;
    }
  }
  // What was sent before has arrived by now.
  bool Arrived(const std::string& end, const std::string& wanted) {
    for (;;) {
      const std::string frame = Read(end, 0);
      if (frame.empty()) return false;
      if (frame == wanted) return true;
    }
  }

  // From the network to a port of the pod's.
  static std::string In4(char protocol, size_t from, size_t to) {
    return Frame(kPodMac, kRemoteMac, 0x0800,
                 Ip4(kRemote4, kPod4, protocol, Ports(from, to)));
  }
  static std::string In6(char protocol, size_t from, size_t to) {
    return Frame(kPodMac, kRemoteMac, 0x86dd,
                 Ip6(kRemote6, kPod6, protocol, Ports(from, to)));
  }
  static std::string Out4(char protocol, size_t from, size_t to) {
    return Frame(kRemoteMac, kPodMac, 0x0800,
                 Ip4(kPod4, kRemote4, protocol, Ports(from, to)));
  }
  static std::string Out6(char protocol, size_t from, size_t to) {
    return Frame(kRemoteMac, kPodMac, 0x86dd,
                 Ip6(kPod6, kRemote6, protocol, Ports(from, to)));
  }

  using Names = std::vector<std::string>;
  Names guests_ = {"serai0", "serai0-2", "serai0-3"};
  TempDir dir_;
  UniqueFd pod_;
  std::map<std::string, UniqueFd> ends_;
};

TEST_F(SteeringTest, ADeclaredPortIsItsGuests) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  EXPECT_EQ(SeenBy("far", In4(6, 4000, 8080)), Names{"serai0-2"});
  EXPECT_EQ(SeenBy("far", In6(6, 4000, 8080)), Names{"serai0-2"});
  EXPECT_EQ(SeenBy("far", In4(17, 4000, 53)), Names{"serai0-2"});
  EXPECT_EQ(SeenBy("far", In4(6, 4000, 9090)), Names{"serai0-3"});
  EXPECT_EQ(SeenBy("far", In6(6, 4000, 9090)), Names{"serai0-3"});
}

TEST_F(SteeringTest, WhatIsNobodysIsTheFirsts) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  EXPECT_EQ(SeenBy("far", In4(6, 4000, 80)), Names{"serai0"});
  EXPECT_EQ(SeenBy("far", In6(6, 4000, 80)), Names{"serai0"});
  // Of another protocol.
  EXPECT_EQ(SeenBy("far", In4(17, 4000, 8080)), Names{"serai0"});
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x0800,
                                Ip4(kRemote4, kPod4, 1, Icmp(8, 7)))),
            Names{"serai0"});
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x0800, "short")),
            Names{"serai0"});
}

TEST_F(SteeringTest, AnswersComeBackToWhoAsked) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  EXPECT_EQ(SeenBy("far", In4(6, 443, 5555)), Names{"serai0"});
  EXPECT_EQ(SeenBy("serai0-3", Out4(6, 5555, 443)), Names{"far"});
  EXPECT_EQ(SeenBy("far", In4(6, 443, 5555)), Names{"serai0-3"});
  EXPECT_EQ(SeenBy("serai0-2", Out6(17, 5555, 53)), Names{"far"});
  EXPECT_EQ(SeenBy("far", In6(17, 53, 5555)), Names{"serai0-2"});
  // From elsewhere it is nobody's.
  EXPECT_EQ(SeenBy("far", In4(6, 444, 5555)), Names{"serai0"});
  // What is another's is not to be had by asking: a port that it declares, or
  // what it began.
  EXPECT_EQ(SeenBy("serai0-2", Out4(6, 9090, 443)), Names{"far"});
  EXPECT_EQ(SeenBy("far", In4(6, 443, 9090)), Names{"serai0-3"});
  EXPECT_EQ(SeenBy("serai0-2", Out4(6, 5555, 443)), Names{"far"});
  EXPECT_EQ(SeenBy("far", In4(6, 443, 5555)), Names{"serai0-3"});
}

TEST_F(SteeringTest, SoDoEchoesAndErrors) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  EXPECT_EQ(SeenBy("serai0-2", Frame(kRemoteMac, kPodMac, 0x0800,
                                     Ip4(kPod4, kRemote4, 1, Icmp(8, 77)))),
            Names{"far"});
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x0800,
                                Ip4(kRemote4, kPod4, 1, Icmp(0, 77)))),
            Names{"serai0-2"});
  EXPECT_EQ(SeenBy("serai0-3", Frame(kRemoteMac, kPodMac, 0x86dd,
                                     Ip6(kPod6, kRemote6, 58, Icmp(128, 78)))),
            Names{"far"});
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x86dd,
                                Ip6(kRemote6, kPod6, 58, Icmp(129, 78)))),
            Names{"serai0-3"});
  // A router says that a frame of the second guest's was too long.
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x0800,
                                Ip4("10.1.1.1", kPod4, 1,
                                    Icmp(3, 0) + Ip4(kPod4, kRemote4, 6,
                                                     Ports(8080, 4000))))),
            Names{"serai0-2"});
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x86dd,
                                Ip6("fd11::1", kPod6, 58,
                                    Icmp(2, 0) + Ip6(kPod6, kRemote6, 6,
                                                     Ports(9090, 4000))))),
            Names{"serai0-3"});
  // Nobody answered the third one's echo.
  EXPECT_EQ(
      SeenBy("far",
             Frame(kPodMac, kRemoteMac, 0x86dd,
                   Ip6("fd11::1", kPod6, 58,
                       Icmp(1, 0) + Ip6(kPod6, kRemote6, 58, Icmp(128, 78))))),
      Names{"serai0-3"});
}

TEST_F(SteeringTest, GuestsReachEachOtherAtThePodsAddress) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  const auto between = [](size_t from, size_t to) {
    return Frame(kPodMac, kPodMac, 0x0800,
                 Ip4(kPod4, kPod4, 6, Ports(from, to)));
  };
  EXPECT_EQ(SeenBy("serai0", between(6000, 8080)), Names{"serai0-2"});
  EXPECT_EQ(SeenBy("serai0-2", between(8080, 6000)), Names{"serai0"});
  EXPECT_EQ(SeenBy("serai0-3", between(6001, 8080)), Names{"serai0-2"});
  EXPECT_EQ(SeenBy("serai0-2", between(8080, 6001)), Names{"serai0-3"});
}

TEST_F(SteeringTest, WhatIsForAllArrivesEverywhere) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  const Names all = {"serai0", "serai0-2", "serai0-3"};
  EXPECT_EQ(SeenBy("far", Frame("33:33:00:00:00:01", kRemoteMac, 0x86dd,
                                Ip6("fe80::1", "ff02::1", 58, Icmp(134, 0)))),
            all);
  EXPECT_EQ(
      SeenBy("far", Frame("01:00:5e:00:00:fb", kRemoteMac, 0x0800,
                          Ip4(kRemote4, "224.0.0.251", 17, Ports(5353, 5353)))),
      all);
  // Of a fragment only the first has ports.
  EXPECT_EQ(SeenBy("far", Frame(kPodMac, kRemoteMac, 0x0800,
                                Ip4(kRemote4, kPod4, 17, "the rest", 185))),
            all);
  const auto arrives = [&](const std::string& to, const std::string& packet) {
    return SeenBy("far", Frame(to, kRemoteMac, 0x86dd, packet));
  };
  EXPECT_EQ(arrives("33:33:00:00:00:fb",
                    Ip6(kRemote6, "ff02::fb", 17, Ports(5353, 5353))),
            all);
  EXPECT_EQ(arrives(kPodMac, Ip6(kRemote6, kPod6, 44, "any of them")), all);
  // Whoever lives answers for the address.
  EXPECT_EQ(arrives("33:33:ff:00:00:07",
                    Ip6(kRemote6, "ff02::1:ff00:7", 58, Icmp(135, 0))),
            all);
  EXPECT_EQ(arrives(kPodMac, Ip6(kRemote6, kPod6, 58, Icmp(135, 0))), all);
}

TEST_F(SteeringTest, SayingItAnewAddsNoFilter) {
  for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(SteerAll());
  for (const char* link : {"eth0", "serai0", "serai0-2"}) {
    Run(absl::StrCat("[ $(tc filter show dev ", link,
                     " ingress | grep -c 'bpf.*serai_steer') = 1 ]"));
  }
}

TEST_F(SteeringTest, SayingItAnewKeepsWhatStays) {
  ASSERT_NO_FATAL_FAILURE(SteerAll());
  EXPECT_EQ(SeenBy("serai0-3", Out4(6, 5555, 443)), Names{"far"});
  EXPECT_EQ(SeenBy("serai0-2", Out4(6, 6666, 443)), Names{"far"});
  // The second is gone, and the third declares another port.
  ASSERT_OK(Steer(pod_.get(), "eth0",
                  {{"serai0", {}}, {"serai0-3", {{7070, IPPROTO_TCP}}}}));
  guests_ = {"serai0", "serai0-3"};
  EXPECT_EQ(SeenBy("far", In4(6, 443, 5555)), Names{"serai0-3"});
  EXPECT_EQ(SeenBy("far", In4(6, 443, 6666)), Names{"serai0"});
  EXPECT_EQ(SeenBy("far", In4(6, 4000, 9090)), Names{"serai0"});
  EXPECT_EQ(SeenBy("far", In4(6, 4000, 7070)), Names{"serai0-3"});
  EXPECT_EQ(SeenBy("far", In4(6, 4000, 8080)), Names{"serai0"});
}

TEST_F(SteeringTest, WhatCantBeSteeredIsRefused) {
  EXPECT_THAT(Steer(pod_.get(), "eth0",
                    {{"serai0", {{80, IPPROTO_TCP}}},
                     {"serai0-2", {{80, IPPROTO_TCP}}}}),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "port 80 is both serai0's and serai0-2's"));
  EXPECT_THAT(Steer(pod_.get(), "eth0", {}),
              HasStatus(absl::StatusCode::kInvalidArgument, "0 guests"));
  EXPECT_THAT(Steer(pod_.get(), "eth0", {{"serai9", {}}}),
              HasStatus(absl::StatusCode::kNotFound, "serai9"));
}

}  // namespace
}  // namespace serai::host
