// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/tcp_segment.h"

#include "tests/guests/net/bytes.h"
#include "tests/guests/net/checksum.h"

namespace serai::guest {
namespace {

constexpr size_t kHeader = 20;
constexpr size_t kMssOption = 4;
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kOptionMss = 2;
constexpr uint16_t kDefaultMss = 536;
// A smaller wish only serves to make us work.
constexpr uint16_t kMinMss = 64;

uint16_t ParseMss(std::span<const std::byte> options) {
  size_t i = 0;
  while (i < options.size()) {
    const uint8_t kind = Get8(&options[i]);
    if (kind == kOptionEnd) break;
    if (kind == kOptionNop) {
      ++i;
      continue;
    }
    if (i + 1 >= options.size()) break;
    const size_t length = Get8(&options[i + 1]);
    if (length < 2 || i + length > options.size()) break;
    if (kind == kOptionMss && length == kMssOption) {
      const uint16_t mss = Get16(&options[i + 2]);
      return mss < kMinMss ? kMinMss : mss;
    }
    i += length;
  }
  return kDefaultMss;
}

}  // namespace

std::optional<TcpSegment> ParseTcp(Interface& interface, const Station& from,
                                   std::span<const std::byte> bytes) {
  if (bytes.size() < kHeader) return std::nullopt;
  const std::byte* const data = bytes.data();
  const size_t header = size_t{Get8(data + 12)} / 16 * 4;
  if (header < kHeader || header > bytes.size()) return std::nullopt;
  if (TransportChecksum(from.address, interface.AddressFor(from), kProtocolTcp,
                        data, bytes.size()) != 0) {
    interface.ReportBadChecksum("TCP", from.address);
    return std::nullopt;
  }
  TcpSegment segment;
  segment.from = from;
  segment.from_port = Get16(data);
  segment.to_port = Get16(data + 2);
  segment.sequence = Get32(data + 4);
  segment.acknowledgement = Get32(data + 8);
  segment.flags = Get8(data + 13);
  segment.window = Get16(data + 14);
  segment.max_segment_size = ParseMss(bytes.subspan(kHeader, header - kHeader));
  segment.data = {reinterpret_cast<const char*>(data + header),
                  bytes.size() - header};
  return segment;
}

uint16_t MaxSegmentSize(const Interface& interface, const Station& peer) {
  return static_cast<uint16_t>(interface.RoomFor(peer) - kHeader);
}

void SendTcp(Interface& interface, const Station& to, uint16_t from_port,
             uint16_t to_port, const TcpOutput& output) {
  std::byte* const bytes = interface.segment();
  size_t size = kHeader;
  if (output.offers_max_segment_size) {
    Put8(bytes + size, kOptionMss);
    Put8(bytes + size + 1, kMssOption);
    Put16(bytes + size + 2, MaxSegmentSize(interface, to));
    size += kMssOption;
  }
  Put16(bytes, from_port);
  Put16(bytes + 2, to_port);
  Put32(bytes + 4, output.sequence);
  Put32(bytes + 8, output.acknowledgement);
  Put8(bytes + 12, static_cast<uint8_t>(size / 4 << 4));
  Put8(bytes + 13, output.flags);
  Put16(bytes + 14, static_cast<uint16_t>(output.window));
  Put16(bytes + 16, 0);
  Put16(bytes + 18, 0);
  __builtin_memcpy(bytes + size, output.data.data(), output.data.size());
  size += output.data.size();
  Put16(bytes + 16, TransportChecksum(interface.AddressFor(to), to.address,
                                      kProtocolTcp, bytes, size));
  interface.Send(to, kProtocolTcp, size);
}

void SendReset(Interface& interface, const TcpSegment& segment) {
  if (segment.Has(kRst)) return;
  TcpOutput output = {.flags = kRst, .sequence = segment.acknowledgement};
  if (!segment.Has(kAck)) {
    output.flags = kRst | kAck;
    output.sequence = 0;
    output.acknowledgement = segment.sequence + segment.Length();
  }
  SendTcp(interface, segment.from, segment.to_port, segment.from_port, output);
}

}  // namespace serai::guest
