// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/testing/guest_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serai::testing {
namespace {

constexpr char kHostAddress[] = "10.99.0.1";
constexpr char kNetmask[] = "255.255.255.0";

ifreq Request(const std::string& name) {
  ifreq request = {};
  std::memcpy(request.ifr_name, name.data(), name.size());
  return request;
}

void Configure(int socket, unsigned long operation, const ifreq& request) {
  ASSERT_EQ(::ioctl(socket, operation, &request), 0)
      << request.ifr_name << ": " << std::strerror(errno);
}

void SetAddress(int socket, unsigned long operation, const char* address) {
  ifreq request = Request(kGuestTap);
  sockaddr_in socket_address = {};
  socket_address.sin_family = AF_INET;
  ::inet_pton(AF_INET, address, &socket_address.sin_addr);
  std::memcpy(&request.ifr_addr, &socket_address, sizeof(socket_address));
  Configure(socket, operation, request);
}

void SetUp(int socket, const std::string& name) {
  ifreq request = Request(name);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  Configure(socket, SIOCSIFFLAGS, request);
}

// Where the body begins, and whether all of it is there.
bool IsComplete(absl::string_view answer) {
  const size_t head = answer.find("\r\n\r\n");
  const size_t field = answer.find("Content-Length: ");
  if (head == answer.npos || field == answer.npos) return false;
  absl::string_view number = answer.substr(field + 16);
  number = number.substr(0, number.find('\r'));
  size_t length = 0;
  return absl::SimpleAtoi(number, &length) &&
         answer.size() >= head + 4 + length;
}

}  // namespace

std::vector<std::string> ServiceDevice() {
  return {absl::StrCat("--net:service=", kGuestTap),
          absl::StrCat("--net-mac:service=", kGuestMac)};
}

void AddTap(const std::string& name) {
  const UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(tap.valid());
  ifreq request = Request(name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  Configure(tap.get(), TUNSETIFF, request);
  // Persistent: until the namespace goes.
  ASSERT_EQ(::ioctl(tap.get(), TUNSETPERSIST, 1), 0);
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SetUp(socket.get(), name);
}

void EnterGuestNetwork(int mtu) {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
  AddTap(kGuestTap);
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = Request(kGuestTap);
  request.ifr_mtu = mtu;
  Configure(socket.get(), SIOCSIFMTU, request);
  request = Request(kGuestTap);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  request.ifr_hwaddr.sa_data[0] = 2;
  request.ifr_hwaddr.sa_data[5] = 1;
  Configure(socket.get(), SIOCSIFHWADDR, request);
  SetAddress(socket.get(), SIOCSIFADDR, kHostAddress);
  SetAddress(socket.get(), SIOCSIFNETMASK, kNetmask);
}

sockaddr_in GuestPort(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, kGuestAddress, &address.sin_addr);
  return address;
}

UniqueFd Connect(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout = {10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  const sockaddr_in address = GuestPort(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    fd.reset();
  }
  return fd;
}

std::string Exchange(int fd, absl::string_view request) {
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return {};
  }
  std::string answer;
  std::array<char, 4096> buffer;
  while (!IsComplete(answer)) {
    const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (size <= 0) break;
    answer.append(buffer.data(), static_cast<size_t>(size));
  }
  return answer;
}

std::string Get(absl::string_view target) {
  const UniqueFd fd = Connect(80);
  if (!fd.valid()) return {};
  return Exchange(
      fd.get(),
      absl::StrCat("GET ", target, " HTTP/1.1\r\nConnection: close\r\n\r\n"));
}

bool Ping(size_t size) {
  const UniqueFd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  const timeval timeout = {2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  std::string request(sizeof(icmphdr) + size, '\0');
  for (size_t i = sizeof(icmphdr); i < request.size(); ++i) {
    request[i] = static_cast<char>(i);
  }
  icmphdr header = {};
  header.type = ICMP_ECHO;
  header.un.echo.sequence = htons(1);
  std::memcpy(request.data(), &header, sizeof(header));
  uint32_t sum = 0;
  for (size_t i = 0; i < request.size(); ++i) {
    const auto byte = static_cast<uint8_t>(request[i]);
    sum += i % 2 == 0 ? uint32_t{byte} << 8 : byte;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  header.checksum = htons(static_cast<uint16_t>(~sum));
  std::memcpy(request.data(), &header, sizeof(header));
  const sockaddr_in to = GuestPort(0);
  if (::sendto(fd.get(), request.data(), request.size(), 0,
               reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0) {
    return false;
  }
  std::array<char, 10000> packet;
  const ssize_t received = ::recv(fd.get(), packet.data(), packet.size(), 0);
  constexpr size_t kIpHeader = 20;
  return received == static_cast<ssize_t>(kIpHeader + request.size()) &&
         packet[kIpHeader] == ICMP_ECHOREPLY &&
         std::memcmp(packet.data() + kIpHeader + sizeof(header),
                     request.data() + sizeof(header), size) == 0;
}

}  // namespace serai::testing
