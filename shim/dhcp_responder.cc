// SPDX-License-Identifier: Apache-2.0
#include "shim/dhcp_responder.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace serai::shim {
namespace {

// A guest that asks without end keeps nobody else waiting.
constexpr int kAtOnce = 8;
constexpr int kReceiveBuffer = 16 * 1024;

// UDP in IPv4 to port 67, and no later part of a packet that was taken apart.
constexpr std::array<sock_filter, 11> kFilter = {{
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 6),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, ETH_HLEN + 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 67, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
}};

absl::Status SetOption(int socket, int level, int option, int value) {
  if (::setsockopt(socket, level, option, &value, sizeof(value)) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "setsockopt on the DHCP socket");
}

// Nobody's: local, one station.
absl::StatusOr<MacAddress> RandomMac() {
  MacAddress mac;
  if (::getrandom(mac.data(), mac.size(), 0) !=
      static_cast<ssize_t>(mac.size())) {
    return ErrnoStatus(errno, "getrandom");
  }
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfeU) | 2U);
  return mac;
}

}  // namespace

absl::StatusOr<UniqueFd> OpenDhcpSocket(const std::string& tap) {
  // Of no protocol, so that nothing comes before the filter is there.
  UniqueFd socket(
      ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoStatus(errno, "making the DHCP socket");
  std::array<sock_filter, kFilter.size()> filter = kFilter;
  const sock_fprog program = {filter.size(), filter.data()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program,
                   sizeof(program)) != 0) {
    return ErrnoStatus(errno, "attaching the DHCP socket's filter");
  }
  RETURN_IF_ERROR(
      SetOption(socket.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, 1));
  RETURN_IF_ERROR(
      SetOption(socket.get(), SOL_SOCKET, SO_RCVBUF, kReceiveBuffer));
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  // Those of one protocol get what tc, which takes all of it to the pod's
  // interface, has left over.
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(tap.c_str()));
  if (address.sll_ifindex == 0) return ErrnoStatus(errno, tap);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus(errno, "binding the DHCP socket");
  }
  return socket;
}

absl::StatusOr<std::unique_ptr<DhcpResponder>> DhcpResponder::Create(
    EventLoop& loop, UniqueFd socket, const oci::GuestDevice& device) {
  ASSIGN_OR_RETURN(const MacAddress server_mac, RandomMac());
  ASSIGN_OR_RETURN(DhcpFacts facts, DhcpFactsOf(device, server_mac));
  std::unique_ptr<DhcpResponder> responder(
      new DhcpResponder(loop, std::move(socket), std::move(facts)));
  const DhcpResponder* const raw = responder.get();
  RETURN_IF_ERROR(loop.Watch(raw->socket_.get(), EPOLLIN,
                             [raw](uint32_t) { raw->AnswerSome(); }));
  return responder;
}

DhcpResponder::~DhcpResponder() { loop_.Unwatch(socket_.get()); }

void DhcpResponder::AnswerSome() const {
  for (int i = 0; i < kAtOnce; ++i) {
    // One more, to tell a longer frame by.
    std::array<char, kMaxDhcpFrame + 1> frame;
    const ssize_t n = ::recv(socket_.get(), frame.data(), frame.size(), 0);
    // An error is the interface's (that went down): it is taken note of by
    // being read.
    if (n < 0) return;
    const auto request =
        ParseDhcpRequest({frame.data(), static_cast<size_t>(n)});
    if (!request) continue;
    const auto answer = DhcpAnswer(*request, facts_);
    if (!answer) continue;
    // What the tap does not take now, the guest asks for again.
    static_cast<void>(
        ::send(socket_.get(), answer->data(), answer->size(), MSG_DONTWAIT));
  }
}

}  // namespace serai::shim
