// SPDX-License-Identifier: Apache-2.0
#include "bench/net/traffic.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "lib/host/link_counters.h"
#include "tests/guests/testing/guest_network.h"

namespace serai::bench {
namespace {

constexpr size_t kConnections = 8;
constexpr int kDatagrams = 8;
constexpr double kPatience = 10;  // seconds
constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: guest\r\n\r\n";

class Watch {
 public:
  explicit Watch(double seconds) : seconds_(seconds) {}
  double Passed() const { return absl::ToDoubleSeconds(absl::Now() - start_); }
  bool Runs() const { return Passed() < seconds_; }

 private:
  const double seconds_;
  const absl::Time start_ = absl::Now();
};

absl::StatusOr<UniqueFd> Connect(const std::string& address, uint16_t port,
                                 int type) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const timeval limit = {type == SOCK_STREAM ? 30 : 1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) !=
      0) {
    return ErrnoStatus(errno, "connecting to the guest");
  }
  return fd;
}

absl::Status Ask(int fd) {
  if (::send(fd, kRequest, sizeof kRequest - 1, MSG_NOSIGNAL) > 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "asking the guest");
}

// A datagram from port 9 of `from` to port 7 of `to`, in its frame.
std::string Datagram(const Place& from, const Place& to) {
  std::string frame(sizeof(ether_header) + sizeof(iphdr) + sizeof(udphdr) + 56,
                    '\0');
  ether_header ether = {};
  const auto mac = [](const std::string& text, uint8_t* out) {
    for (size_t i = 0; i < ETH_ALEN; ++i) {
      out[i] =
          static_cast<uint8_t>(std::stoi(text.substr(3 * i, 2), nullptr, 16));
    }
  };
  mac(to.mac, ether.ether_dhost);
  mac(from.mac, ether.ether_shost);
  ether.ether_type = htons(ETHERTYPE_IP);
  iphdr ip = {};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.tot_len = htons(static_cast<uint16_t>(frame.size() - sizeof ether));
  ::inet_pton(AF_INET, from.address.c_str(), &ip.saddr);
  ::inet_pton(AF_INET, to.address.c_str(), &ip.daddr);
  std::array<uint16_t, sizeof ip / 2> words = {};
  std::memcpy(words.data(), &ip, sizeof ip);
  uint32_t sum = 0;
  for (const uint16_t word : words) sum += word;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  ip.check = static_cast<uint16_t>(~sum);
  udphdr udp = {};
  udp.source = htons(9);
  udp.dest = htons(7);
  udp.len =
      htons(static_cast<uint16_t>(frame.size() - sizeof ether - sizeof ip));
  std::memcpy(frame.data(), &ether, sizeof ether);
  std::memcpy(frame.data() + sizeof ether, &ip, sizeof ip);
  std::memcpy(frame.data() + sizeof ether + sizeof ip, &udp, sizeof udp);
  return frame;
}

absl::Status Throw(const std::string& frame) {
  const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  sockaddr_ll to = {};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(::if_nametoindex("br0"));
  if (::sendto(fd.get(), frame.data(), frame.size(), 0,
               reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
    return ErrnoStatus(errno, "throwing a datagram");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<double> HttpRate(const std::string& address, double seconds) {
  std::vector<UniqueFd> connections;
  std::array<pollfd, kConnections> waited = {};
  for (pollfd& one : waited) {
    ASSIGN_OR_RETURN(UniqueFd fd, Connect(address, 80, SOCK_STREAM));
    one = {fd.get(), POLLIN, 0};
    RETURN_IF_ERROR(Ask(one.fd));
    connections.push_back(std::move(fd));
  }
  int answers = 0;
  const Watch watch(seconds);
  while (watch.Runs()) {
    if (::poll(waited.data(), waited.size(), 1000) <= 0) {
      return absl::UnavailableError("web does not answer");
    }
    for (const pollfd& one : waited) {
      if ((one.revents & POLLIN) == 0) continue;
      std::array<char, 4096> answer;
      if (::recv(one.fd, answer.data(), answer.size(), 0) <= 0) {
        return absl::UnavailableError("web hangs up");
      }
      ++answers;
      RETURN_IF_ERROR(Ask(one.fd));
    }
  }
  return answers / watch.Passed();
}

absl::StatusOr<double> BodyRate(const std::string& address, size_t bytes) {
  ASSIGN_OR_RETURN(const UniqueFd fd, Connect(address, 80, SOCK_STREAM));
  const Watch watch(0);
  const std::string answer = testing::Exchange(
      fd.get(),
      absl::StrCat("GET /bytes?n=", bytes, " HTTP/1.1\r\nHost: guest\r\n\r\n"));
  if (answer.size() < bytes) {
    return absl::UnavailableError(
        absl::StrCat(answer.size(), " of ", bytes, " bytes have come"));
  }
  return static_cast<double>(bytes) / 1e6 / watch.Passed();
}

absl::StatusOr<double> EchoRate(const std::string& address, double seconds) {
  ASSIGN_OR_RETURN(const UniqueFd fd, Connect(address, 7, SOCK_DGRAM));
  std::array<char, 56> data = {};
  const auto ask = [&] {
    return ::send(fd.get(), data.data(), data.size(), 0) > 0 &&
           ::recv(fd.get(), data.data(), data.size(), 0) > 0;
  };
  // The first ones are for the neighbours to find each other.
  for (const Watch patience(kPatience); !ask();) {
    if (!patience.Runs()) {
      return absl::UnavailableError("echo does not answer");
    }
  }
  int answers = 0;
  const Watch watch(seconds);
  while (watch.Runs()) answers += ask() ? 1 : 0;
  return answers / watch.Passed();
}

absl::StatusOr<double> BetweenRate(const Place& first, const Place& second,
                                   double seconds) {
  const std::string frame = Datagram(second, first);
  for (int i = 0; i < kDatagrams; ++i) RETURN_IF_ERROR(Throw(frame));
  const auto thrown = [&]() -> absl::StatusOr<double> {
    ASSIGN_OR_RETURN(const host::LinkCounters counters,
                     host::ReadLinkCounters(first.netns.get(), first.tap));
    return static_cast<double>(counters.received.packets);
  };
  ASSIGN_OR_RETURN(const double before, thrown());
  const Watch watch(seconds);
  absl::SleepFor(absl::Seconds(seconds));
  ASSIGN_OR_RETURN(const double after, thrown());
  if (after - before < kDatagrams) {
    return absl::UnavailableError("the guests do not talk to each other");
  }
  return (after - before) / watch.Passed();
}

}  // namespace serai::bench
