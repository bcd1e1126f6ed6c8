// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/tcp_server.h"

#include "tests/guests/runtime/platform.h"

namespace serai::guest {
namespace {

constexpr size_t kConnections = 256;
constexpr uint64_t kLongestSleep = 60 * kSecond;

constinit TcpConnection connections[kConnections];
TcpConnection::Buffers buffers[kConnections];

uint64_t Mix(uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccd;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53;
  return value ^ value >> 33;
}

size_t IndexToUse() {
  size_t oldest = 0;
  for (size_t i = 0; i < kConnections; ++i) {
    const TcpConnection& candidate = connections[i];
    if (!candidate.in_use()) return i;
    const TcpConnection& best = connections[oldest];
    const bool better = candidate.half_open() == best.half_open()
                            ? candidate.last_active() < best.last_active()
                            : candidate.half_open();
    if (better) oldest = i;
  }
  return oldest;
}

}  // namespace

TcpServer::TcpServer(Interface& interface, uint16_t port, Service& service)
    : interface_(interface),
      service_(service),
      port_(port),
      secret_(Mix(WallTime()) ^ Mix(MonotonicTime())) {}

void TcpServer::Receive(const Station& from, std::span<const std::byte> bytes) {
  const auto segment = ParseTcp(interface_, from, bytes);
  if (!segment.has_value()) return;
  if (segment->to_port == port_) {
    for (TcpConnection& connection : connections) {
      if (!connection.IsWith(*segment)) continue;
      connection.OnSegment(*segment);
      return;
    }
    if ((segment->flags & (kSyn | kAck | kRst | kFin)) == kSyn) {
      Accept(*segment);
      return;
    }
  }
  SendReset(interface_, *segment);
}

void TcpServer::Accept(const TcpSegment& syn) {
  const size_t index = IndexToUse();
  TcpConnection& connection = connections[index];
  if (connection.in_use()) connection.Abort();
  connection.Open(interface_, service_, buffers[index], syn,
                  FirstSequence(syn));
}

// Not to be guessed, and growing with time (RFC 6528).
uint32_t TcpServer::FirstSequence(const TcpSegment& syn) const {
  uint64_t hash = uint64_t{syn.from_port} << 16 | port_;
  for (const uint8_t byte : syn.from.address.bytes) hash = Mix(hash ^ byte);
  return static_cast<uint32_t>(Mix(hash ^ secret_) + MonotonicTime() / 4096);
}

uint64_t TcpServer::Tick() {
  const uint64_t now = MonotonicTime();
  uint64_t sleep = kLongestSleep;
  for (TcpConnection& connection : connections) {
    if (!connection.in_use()) continue;
    if (connection.deadline() <= now) connection.OnTimer();
    if (!connection.in_use()) continue;
    const uint64_t deadline = connection.deadline();
    const uint64_t left = deadline > now ? deadline - now : 0;
    if (left < sleep) sleep = left;
  }
  return sleep;
}

bool TcpServer::HasUnacknowledged() const {
  for (const TcpConnection& connection : connections) {
    if (connection.HasUnacknowledged()) return true;
  }
  return false;
}

}  // namespace serai::guest
