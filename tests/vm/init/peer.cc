// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/init/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>

#include "lib/base/unique_fd.h"
#include "tests/vm/cases.h"

namespace serai::testing {
namespace {

constexpr uint16_t kEchoPort = 7;
constexpr int kDatagrams = 50;
constexpr size_t kLargest = 1472;  // fills a frame

UniqueFd ConnectedSocket(int protocol, uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
  const timeval patience = {10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, kEchoAddress, &address.sin_addr);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    fd.reset();
  }
  return fd;
}

std::string Pattern(size_t size, int seed) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>(i * 7 + static_cast<size_t>(seed));
  }
  return text;
}

// What comes back for `message`; empty when nothing does.
std::string Exchange(int fd, const std::string& message) {
  std::array<char, 2048> answer;
  if (::send(fd, message.data(), message.size(), 0) < 0) return {};
  const ssize_t size = ::recv(fd, answer.data(), answer.size(), 0);
  return {answer.data(), size < 0 ? 0 : static_cast<size_t>(size)};
}

// The kernel fills in checksum and identity.
bool AnswersPing(int fd, size_t size) {
  icmphdr header = {};
  header.type = ICMP_ECHO;
  std::string request = Pattern(sizeof(header) + size, 1);
  std::memcpy(request.data(), &header, sizeof(header));
  const std::string answer = Exchange(fd, request);
  return answer.size() == request.size() && answer[0] == ICMP_ECHOREPLY &&
         answer.substr(sizeof(header)) == request.substr(sizeof(header));
}

}  // namespace

bool AnswersPeer() {
  const UniqueFd ping = ConnectedSocket(IPPROTO_ICMP, 0);
  const UniqueFd echo = ConnectedSocket(0, kEchoPort);
  if (!AnswersPing(ping.get(), 56) || !AnswersPing(ping.get(), kLargest)) {
    return false;
  }
  for (int i = 0; i < kDatagrams; ++i) {
    const std::string text = Pattern(i % 2 == 0 ? kLargest : 1, i);
    if (Exchange(echo.get(), text) != text) return false;
  }
  return true;
}

}  // namespace serai::testing
