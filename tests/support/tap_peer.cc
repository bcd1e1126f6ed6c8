// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tap_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace serai::testing {
namespace {

constexpr size_t kEther = 14;
constexpr size_t kIp = 20;
constexpr size_t kTcp = 20;
constexpr uint16_t kEchoPort = 7;
constexpr uint32_t kInFlight = 32 * 1024;
constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

uint16_t Get16(const uint8_t* p) {
  return static_cast<uint16_t>((p[0] << 8) | p[1]);
}
uint32_t Get32(const uint8_t* p) {
  return (uint32_t{Get16(p)} << 16) | Get16(p + 2);
}
void Put16(std::string& s, size_t value) {
  s += static_cast<char>((value >> 8) & 0xff);
  s += static_cast<char>(value & 0xff);
}
void Put32(std::string& s, uint32_t value) {
  Put16(s, value >> 16);
  Put16(s, value & 0xffff);
}
void Set16(std::string& s, size_t at, uint16_t value) {
  s[at] = static_cast<char>(value >> 8);
  s[at + 1] = static_cast<char>(value & 0xff);
}
template <size_t N>
void PutBytes(std::string& s, const std::array<uint8_t, N>& bytes) {
  for (const uint8_t byte : bytes) s += static_cast<char>(byte);
}
const uint8_t* Bytes(const std::string& s) {
  return reinterpret_cast<const uint8_t*>(s.data());
}

// The Internet checksum over `data`; 0 when a checksum in it is right.
uint16_t Checksum(const uint8_t* data, size_t size, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < size; i += 2) sum += Get16(data + i);
  if (size % 2 != 0) sum += uint32_t{data[size - 1]} << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// The sum of TCP's and UDP's pseudo header.
uint32_t PseudoSum(const uint8_t* from, const uint8_t* to, uint8_t protocol,
                   size_t size) {
  return uint32_t{Get16(from)} + Get16(from + 2) + Get16(to) + Get16(to + 2) +
         protocol + static_cast<uint32_t>(size);
}

}  // namespace

UniqueFd OpenTap(const std::string& name) {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) fd.reset();
  return fd;
}

TapPeer::TapPeer(UniqueFd tap, const std::string& mac, const std::string& ip,
                 size_t mtu)
    : tap_(std::move(tap)), stop_(::eventfd(0, EFD_CLOEXEC)), mtu_(mtu) {
  for (size_t i = 0; i < mac_.size() && 3 * i + 2 <= mac.size(); ++i) {
    mac_[i] = static_cast<uint8_t>(
        std::strtoul(mac.substr(3 * i, 2).c_str(), nullptr, 16));
  }
  ::inet_pton(AF_INET, ip.c_str(), ip_.data());
  thread_ = std::thread([this] { Run(); });
}

TapPeer::~TapPeer() {
  const uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) == sizeof one) thread_.join();
}

void TapPeer::Run() {
  std::array<uint8_t, 65536> frame;
  for (;;) {
    std::array<pollfd, 2> fds = {
        {{tap_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
    const int ready = ::poll(fds.data(), fds.size(), 100);
    if (fds[1].revents != 0) return;
    if (ready == 0) {  // nothing for a while: what was sent may be lost
      connection_.sent = connection_.acknowledged;
      SendPending();
      continue;
    }
    for (;;) {
      const ssize_t n = ::read(tap_.get(), frame.data(), frame.size());
      if (n <= 0) break;
      OnFrame(frame.data(), static_cast<size_t>(n));
    }
  }
}

void TapPeer::OnFrame(const uint8_t* frame, size_t size) {
  ++seen_.frames;
  seen_.longest = std::max(seen_.longest.load(), size);
  if (size < kEther) return;
  constexpr std::array<uint8_t, 6> kBroadcast = {255, 255, 255, 255, 255, 255};
  if (std::memcmp(frame, mac_.data(), 6) != 0 &&
      std::memcmp(frame, kBroadcast.data(), 6) != 0) {
    return;
  }
  ++seen_.ours;
  const uint16_t type = Get16(frame + 12);
  if (type == ETHERTYPE_ARP) OnArp(frame, size);
  if (type == ETHERTYPE_IP) OnIp(frame, size);
}

void TapPeer::OnArp(const uint8_t* frame, size_t size) {
  const uint8_t* arp = frame + kEther;
  if (size < kEther + 28 || Get16(arp + 6) != 1 ||
      std::memcmp(arp + 24, ip_.data(), 4) != 0) {
    return;
  }
  std::string answer(reinterpret_cast<const char*>(arp + 8), 6);
  PutBytes(answer, mac_);
  Put16(answer, ETHERTYPE_ARP);
  answer.append(reinterpret_cast<const char*>(arp), 6);
  Put16(answer, 2);
  PutBytes(answer, mac_);
  PutBytes(answer, ip_);
  answer.append(reinterpret_cast<const char*>(arp + 8), 10);
  std::ignore = ::write(tap_.get(), answer.data(), answer.size());
}

void TapPeer::OnIp(const uint8_t* frame, size_t size) {
  const uint8_t* ip = frame + kEther;
  if (size < kEther + kIp || ip[0] != 0x45) return;
  const size_t total = Get16(ip + 2);
  if (total < kIp + 8 || total > size - kEther ||
      std::memcmp(ip + 16, ip_.data(), 4) != 0) {
    return;
  }
  const uint8_t protocol = ip[9];
  const size_t length = total - kIp;
  const uint32_t pseudo = protocol == IPPROTO_ICMP
                              ? 0
                              : PseudoSum(ip + 12, ip + 16, protocol, length);
  if (Checksum(ip, kIp) != 0 || Checksum(ip + kIp, length, pseudo) != 0) {
    ++seen_.bad_checksums;
    return;
  }
  if (protocol == IPPROTO_TCP) {
    OnTcp(frame, kEther + total);
  } else {
    OnEcho(frame, kEther + total);
  }
}

// Ping, and UDP to the echo port.
void TapPeer::OnEcho(const uint8_t* frame, size_t size) {
  const uint8_t* ip = frame + kEther;
  const uint8_t* body = ip + kIp;
  std::string answer(reinterpret_cast<const char*>(body), size - kEther - kIp);
  if (ip[9] == IPPROTO_ICMP && body[0] == 8) {
    answer[0] = 0;
    Set16(answer, 2, 0);
    Set16(answer, 2, Checksum(Bytes(answer), answer.size()));
  } else if (ip[9] == IPPROTO_UDP && Get16(body + 2) == kEchoPort) {
    Set16(answer, 0, kEchoPort);
    Set16(answer, 2, Get16(body));
    Set16(answer, 6, 0);
    Set16(answer, 6,
          Checksum(Bytes(answer), answer.size(),
                   PseudoSum(ip_.data(), ip + 12, IPPROTO_UDP, answer.size())));
  } else {
    return;
  }
  SendIp(ip[9], frame + 6, ip + 12, std::move(answer));
}

void TapPeer::OnTcp(const uint8_t* frame, size_t size) {
  const uint8_t* ip = frame + kEther;
  const uint8_t* tcp = ip + kIp;
  const size_t header = size_t{tcp[12]} / 16 * 4;
  if (size < kEther + kIp + kTcp || size < kEther + kIp + header) return;
  if (Get16(tcp + 2) != kEchoPort) return;
  const uint8_t flags = tcp[13];
  Connection& c = connection_;
  if ((flags & kSyn) != 0) {
    c = {};
    std::copy_n(frame + 6, 6, c.mac.begin());
    std::copy_n(ip + 12, 4, c.ip.begin());
    c.port = Get16(tcp);
    c.received = Get32(tcp + 4) + 1;
    c.sent = c.acknowledged = 1001;
    SendTcp(kSyn | kAck, 1000, "");
    return;
  }
  if (Get16(tcp) != c.port || (flags & kRst) != 0) return;
  c.window = Get16(tcp + 14);
  const uint32_t newly = Get32(tcp + 8) - c.acknowledged;
  if (newly <= c.out.size()) {
    c.out.erase(0, newly);
    c.acknowledged += newly;
    if (static_cast<int32_t>(c.sent - c.acknowledged) < 0) {
      c.sent = c.acknowledged;
    }
  }
  const std::string data(reinterpret_cast<const char*>(tcp + header),
                         size - kEther - kIp - header);
  const bool in_order = Get32(tcp + 4) == c.received;
  if (in_order) {
    c.out += data;
    c.received += static_cast<uint32_t>(data.size());
    if ((flags & kFin) != 0) {
      ++c.received;
      c.peer_finished = true;
    }
  }
  if (!data.empty() || (flags & kFin) != 0) SendTcp(kAck, c.sent, "");
  SendPending();
}

void TapPeer::SendPending() {
  Connection& c = connection_;
  for (;;) {
    const uint32_t in_flight = c.sent - c.acknowledged;
    const uint32_t limit = std::min(c.window, kInFlight);
    const size_t left = c.out.size() - in_flight;
    const size_t room = limit > in_flight ? limit - in_flight : 0;
    const size_t size = std::min({left, room, mtu_ - kIp - kTcp});
    if (size == 0) break;
    SendTcp(kAck, c.sent, c.out.substr(in_flight, size));
    c.sent += static_cast<uint32_t>(size);
  }
  if (c.peer_finished && c.out.empty() && !c.finished) {
    c.finished = true;
    SendTcp(kFin | kAck, c.sent, "");
  }
}

void TapPeer::SendTcp(uint8_t flags, uint32_t sequence,
                      const std::string& data) {
  const Connection& c = connection_;
  const bool syn = (flags & kSyn) != 0;
  std::string segment;
  Put16(segment, kEchoPort);
  Put16(segment, c.port);
  Put32(segment, sequence);
  Put32(segment, c.received);
  segment += static_cast<char>(syn ? 6 << 4 : 5 << 4);
  segment += static_cast<char>(flags);
  Put16(segment, 65535);  // window
  Put32(segment, 0);      // checksum, urgent pointer
  if (syn) {
    Put16(segment, 0x0204);  // option: maximum segment size
    Put16(segment, mtu_ - kIp - kTcp);
  }
  segment += data;
  Set16(segment, 16,
        Checksum(
            Bytes(segment), segment.size(),
            PseudoSum(ip_.data(), c.ip.data(), IPPROTO_TCP, segment.size())));
  SendIp(IPPROTO_TCP, c.mac.data(), c.ip.data(), std::move(segment));
}

void TapPeer::SendIp(uint8_t protocol, const uint8_t* to_mac,
                     const uint8_t* to_ip, std::string payload) {
  std::string header;
  Put16(header, 0x4500);
  Put16(header, kIp + payload.size());
  Put32(header, 0);
  Put16(header, size_t{64} << 8 | protocol);
  Put16(header, 0);
  PutBytes(header, ip_);
  header.append(reinterpret_cast<const char*>(to_ip), 4);
  Set16(header, 10, Checksum(Bytes(header), header.size()));

  std::string frame(reinterpret_cast<const char*>(to_mac), 6);
  PutBytes(frame, mac_);
  Put16(frame, ETHERTYPE_IP);
  frame += header + payload;
  std::ignore = ::write(tap_.get(), frame.data(), frame.size());
}

}  // namespace serai::testing
