// SPDX-License-Identifier: Apache-2.0
// The program judges datagrams of a socket pair here: the same instructions, no
// rights needed. What passes arrives whole, what is dropped is cut to two bytes
// (TC_ACT_SHOT), and a load behind the end, which must not be, leaves nothing.
#include "lib/host/guard_program.h"

#include <sys/socket.h>

#include <array>
#include <random>

#include "lib/base/unique_fd.h"
#include "tests/lib/host/frames.h"
#include "tests/support/status_matchers.h"

namespace serai::host {
namespace {

using namespace ::serai::testing;  // NOLINT(google-build-using-namespace)

enum class Verdict { kPass, kDrop, kRanOut };

class Judge {
 public:
  explicit Judge(const std::vector<std::string>& addresses) {
    auto program = GuardProgram(kPodMac, addresses);
    EXPECT_OK(program.status());
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends.data()), 0);
    from_.reset(ends[0]);
    to_.reset(ends[1]);
    const sock_fprog filter = {static_cast<uint16_t>(program->size()),
                               program->data()};
    EXPECT_EQ(::setsockopt(to_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                           sizeof filter),
              0);
  }

  Verdict Of(const std::string& frame) const {
    if (::send(from_.get(), frame.data(), frame.size(), 0) < 0) {
      return Verdict::kRanOut;
    }
    std::array<char, 4096> got;
    const ssize_t size =
        ::recv(to_.get(), got.data(), got.size(), MSG_DONTWAIT);
    if (size == static_cast<ssize_t>(frame.size())) return Verdict::kPass;
    return size == 2 ? Verdict::kDrop : Verdict::kRanOut;
  }

 private:
  UniqueFd from_;
  UniqueFd to_;
};

const std::vector<std::string> kAddresses = {"10.77.0.2", "10.77.0.3",
                                             "fd00::2", "fd00::3"};

TEST(GuardProgramTest, TheInterfacesMacIsNeeded) {
  const Judge judge(kAddresses);
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "10.77.0.2")), Verdict::kPass);
  EXPECT_EQ(judge.Of(Ip4Frame(kOtherMac, "10.77.0.2")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(Ip4Frame("03:11:22:33:44:55", "10.77.0.2")),
            Verdict::kDrop);
}

TEST(GuardProgramTest, OtherEtherTypesAreDropped) {
  const Judge judge(kAddresses);
  for (const size_t type :
       {0x8100U, 0x88a8U, 0x8847U, 0x888eU, 0x8035U, 0x0026U}) {
    EXPECT_EQ(judge.Of(EthernetFrame(kPodMac, type, std::string(60, '\0'))),
              Verdict::kDrop)
        << type;
  }
}

TEST(GuardProgramTest, EachOfTheAddressesMayBeSentFrom) {
  const Judge judge(kAddresses);
  for (const char* own : {"10.77.0.2", "10.77.0.3"}) {
    EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, own)), Verdict::kPass) << own;
    EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, own, 1)), Verdict::kPass);
    EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, own, 2)), Verdict::kPass);
  }
  for (const char* own : {"fd00::2", "fd00::3", kPodLinkLocal}) {
    EXPECT_EQ(judge.Of(Ip6Frame(kPodMac, own, 17, std::string(8, '\1'))),
              Verdict::kPass);
  }
  for (const char* other : {"10.77.0.4", "10.77.0.1", "127.0.0.1"}) {
    EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, other)), Verdict::kDrop) << other;
    EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, other, 1)), Verdict::kDrop);
    EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, other, 2)), Verdict::kDrop);
  }
  for (const char* other : {"fd00::4", "fd01::2", "fec0::1", "::1"}) {
    EXPECT_EQ(judge.Of(Ip6Frame(kPodMac, other, 17, std::string(8, '\1'))),
              Verdict::kDrop);
  }
}

TEST(GuardProgramTest, AddressesOfOneFamilyLeaveNoneOfTheOther) {
  const Judge four({"10.77.0.2"});
  EXPECT_EQ(four.Of(Ip6Frame(kPodMac, "fd00::2", 17, "12345678")),
            Verdict::kDrop);
  EXPECT_EQ(four.Of(Ip6Frame(kPodMac, kPodLinkLocal, 17, "12345678")),
            Verdict::kPass);
  const Judge six({"fd00::2"});
  EXPECT_EQ(six.Of(Ip4Frame(kPodMac, "10.77.0.2")), Verdict::kDrop);
  EXPECT_EQ(six.Of(ArpFrame(kPodMac, kPodMac, "10.77.0.2", 1)), Verdict::kDrop);
}

TEST(GuardProgramTest, ArpIsOfThatMacAndForEthernetAndIpv4) {
  const Judge judge(kAddresses);
  EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kOtherMac, "10.77.0.2", 2)),
            Verdict::kDrop);
  std::string other_kind = ArpFrame(kPodMac, kPodMac, "10.77.0.2", 1);
  other_kind[15] = 6;  // hardware type
  EXPECT_EQ(judge.Of(other_kind), Verdict::kDrop);
  // A probe asks; nobody answers as 0.0.0.0.
  EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, "0.0.0.0", 1)), Verdict::kPass);
  EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, "0.0.0.0", 2)), Verdict::kDrop);
}

TEST(GuardProgramTest, NoAddressIsForDhcpOnly) {
  const Judge judge(kAddresses);
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "0.0.0.0", 68, 67)), Verdict::kPass);
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "0.0.0.0", 67, 68)), Verdict::kDrop);
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "0.0.0.0", 68, 53)), Verdict::kDrop);
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "0.0.0.0", 68, 67, 6)), Verdict::kDrop);
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "0.0.0.0", 68, 67, 17, 1)),
            Verdict::kDrop);
  std::string options = Ip4Frame(kPodMac, "0.0.0.0", 68, 67);
  options[14] = 0x4f;
  EXPECT_EQ(judge.Of(options), Verdict::kDrop);
}

TEST(GuardProgramTest, NeighbourDiscoveryIsOfThePodsAddresses) {
  const Judge judge(kAddresses);
  EXPECT_EQ(judge.Of(NdpFrame("::", 135, "fd00::2")), Verdict::kPass);
  EXPECT_EQ(judge.Of(NdpFrame("::", 133, "::")), Verdict::kPass);
  EXPECT_EQ(judge.Of(NdpFrame("::", 128, "::")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame("fd00::2", 135, "fd00::99")), Verdict::kPass);
  for (const char* own : {"fd00::2", "fd00::3", kPodLinkLocal}) {
    EXPECT_EQ(judge.Of(NdpFrame("fd00::2", 136, own)), Verdict::kPass);
    EXPECT_EQ(judge.Of(NdpFrame(kPodLinkLocal, 136, own)), Verdict::kPass);
    EXPECT_EQ(judge.Of(NdpFrame("fd00::9", 136, own)), Verdict::kDrop);
    EXPECT_EQ(judge.Of(NdpFrame("::", 136, own)), Verdict::kDrop);
  }
  // Not under a neighbour's link-local address, and not for one.
  EXPECT_EQ(judge.Of(NdpFrame("fe80::1", 136, "fd00::2")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame("fe80::1", 135, "fd00::9")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame(kPodLinkLocal, 136, "fe80::1")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame(kPodLinkLocal, 136, "fd00::1")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame(kPodLinkLocal, 134, "::")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame(kPodLinkLocal, 137, "fd00::2")), Verdict::kDrop);
}

TEST(GuardProgramTest, ExtensionHeadersHideNothing) {
  const Judge judge(kAddresses);
  const auto hop_by_hop = [](const char* source, char next, char length,
                             int type) {
    return Ip6Frame(
        kPodMac, source, 0,
        absl::StrCat(std::string{next, length}, std::string(6, '\0'),
                     std::string(1, static_cast<char>(type)),
                     std::string(23, '\0')));
  };
  EXPECT_EQ(judge.Of(hop_by_hop("::", 58, 0, 143)), Verdict::kPass);
  EXPECT_EQ(judge.Of(hop_by_hop(kPodLinkLocal, 58, 0, 131)), Verdict::kPass);
  EXPECT_EQ(judge.Of(hop_by_hop(kPodLinkLocal, 58, 0, 132)), Verdict::kPass);
  EXPECT_EQ(judge.Of(hop_by_hop(kPodLinkLocal, 58, 0, 134)), Verdict::kDrop);
  EXPECT_EQ(judge.Of(hop_by_hop(kPodLinkLocal, 58, 1, 143)), Verdict::kDrop);
  EXPECT_EQ(judge.Of(hop_by_hop(kPodLinkLocal, 17, 0, 143)), Verdict::kDrop);
  EXPECT_EQ(judge.Of(hop_by_hop("fd00::9", 58, 0, 143)), Verdict::kDrop);
  for (const char next : {'\x2b', '\x3c'}) {
    EXPECT_EQ(
        judge.Of(Ip6Frame(kPodMac, "fd00::2", next, std::string(32, ':'))),
        Verdict::kDrop);
  }
}

TEST(GuardProgramTest, NoFrameIsTooShortToBeJudged) {
  const Judge judge(kAddresses);
  for (const std::string& whole :
       {Ip4Frame(kPodMac, "10.77.0.2"), Ip4Frame(kPodMac, "0.0.0.0", 68, 67),
        ArpFrame(kPodMac, kPodMac, "10.77.0.2", 1),
        NdpFrame("fd00::2", 136, "fd00::2"), NdpFrame("::", 135, "fd00::2")}) {
    ASSERT_EQ(judge.Of(whole), Verdict::kPass);
    for (size_t size = 3; size < whole.size(); ++size) {
      EXPECT_NE(judge.Of(whole.substr(0, size)), Verdict::kRanOut) << size;
    }
    EXPECT_EQ(judge.Of(whole.substr(0, 14)), Verdict::kDrop);
    EXPECT_EQ(judge.Of(whole.substr(0, 33)), Verdict::kDrop);
  }
}

TEST(GuardProgramTest, AnyFrameIsJudged) {
  std::mt19937 random(1);
  for (const auto& addresses : {kAddresses, std::vector<std::string>()}) {
    const Judge judge(addresses);
    for (int i = 0; i < 20000; ++i) {
      std::string frame(3 + random() % 100, '\0');
      for (char& c : frame) {
        c = static_cast<char>(random() % 3 == 0 ? random() : random() % 2 * 58);
      }
      // Most would end at the MAC.
      if (frame.size() >= 14) {
        frame.replace(6, 6, MacBytes(kPodMac));
        frame.replace(12, 2,
                      Big16(std::array{0x800U, 0x806U, 0x86ddU}[random() % 3]));
      }
      ASSERT_NE(judge.Of(frame), Verdict::kRanOut)
          << absl::BytesToHexString(frame);
    }
  }
}

TEST(GuardProgramTest, WithoutAddressesTheMacCounts) {
  const Judge judge({});
  EXPECT_EQ(judge.Of(Ip4Frame(kPodMac, "192.0.2.1")), Verdict::kPass);
  EXPECT_EQ(judge.Of(NdpFrame("fd00::9", 136, "fd00::9")), Verdict::kPass);
  EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kPodMac, "192.0.2.1", 2)),
            Verdict::kPass);
  EXPECT_EQ(judge.Of(ArpFrame(kPodMac, kOtherMac, "192.0.2.1", 2)),
            Verdict::kDrop);
  EXPECT_EQ(judge.Of(Ip4Frame(kOtherMac, "192.0.2.1")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(EthernetFrame(kPodMac, 0x8100, std::string(60, '\0'))),
            Verdict::kDrop);
}

TEST(GuardProgramTest, AsManyAddressesAsThereMayBe) {
  std::vector<std::string> addresses;
  for (size_t i = 0; i < kMaxGuardedAddresses; ++i) {
    addresses.push_back(absl::StrCat("fd00::", absl::Hex(i + 1)));
  }
  const Judge judge(addresses);
  for (const std::string& own : addresses) {
    EXPECT_EQ(judge.Of(NdpFrame(own, 136, own)), Verdict::kPass);
  }
  EXPECT_EQ(judge.Of(NdpFrame("fd00::1", 136, "fd00::99")), Verdict::kDrop);
  EXPECT_EQ(judge.Of(NdpFrame("fd00::99", 136, "fd00::1")), Verdict::kDrop);
  addresses.emplace_back("fd00::99");
  EXPECT_THAT(GuardProgram(kPodMac, addresses).status(),
              HasStatus(absl::StatusCode::kInvalidArgument, "at most 32"));
}

TEST(GuardProgramTest, WhatIsNoAddressIsRefused) {
  for (const char* mac : {"", "02:11:22:33:44", "02:11:22:33:44:5g",
                          "02:11:22:33:44:55:66", "2:11:22:33:44:555"}) {
    EXPECT_THAT(GuardProgram(mac, {}).status(),
                HasStatus(absl::StatusCode::kInvalidArgument, "hardware"));
  }
  EXPECT_THAT(GuardProgram(kPodMac, {"10.0.0.0/8"}).status(),
              HasStatus(absl::StatusCode::kInvalidArgument, "10.0.0.0/8"));
}

}  // namespace
}  // namespace serai::host
