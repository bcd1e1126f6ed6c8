// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/address.h"

#include "tests/guests/runtime/arguments.h"

namespace serai::guest {

bool operator==(const MacAddress& a, const MacAddress& b) {
  return __builtin_memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

void AppendTo(Writer& writer, const MacAddress& address) {
  for (size_t i = 0; i < sizeof(address.bytes); ++i) {
    if (i > 0) writer.Append(':');
    writer.AppendNumber(address.bytes[i], 16, 2);
  }
}

void AppendTo(Writer& writer, Ipv4Address address) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    writer.Append(address.value >> shift & 0xff);
    if (shift > 0) writer.Append('.');
  }
}

std::optional<Ipv4Address> ParseIpv4(std::string_view text) {
  uint32_t value = 0;
  for (int part = 0; part < 4; ++part) {
    size_t length = text.find('.');
    if ((length == text.npos) != (part == 3)) return std::nullopt;
    if (part == 3) length = text.size();
    const auto number = ParseNumber({text.data(), length}, 255);
    if (!number.has_value()) return std::nullopt;
    value = value << 8 | static_cast<uint32_t>(*number);
    text.remove_prefix(part == 3 ? length : length + 1);
  }
  return Ipv4Address{value};
}

namespace {

// The text before the slash, where a number up to `longest` stands behind it.
std::optional<std::string_view> BeforePrefix(std::string_view text,
                                             uint64_t longest) {
  const size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const std::string_view prefix(text.data() + slash + 1,
                                text.size() - slash - 1);
  if (!ParseNumber(prefix, longest).has_value()) return std::nullopt;
  return std::string_view(text.data(), slash);
}

constexpr size_t kGroups = 8;

uint16_t Group(const IpAddress& address, size_t index) {
  return static_cast<uint16_t>(address.bytes[2 * index] << 8 |
                               address.bytes[2 * index + 1]);
}

// The longest run of zero groups, of two at least: where it begins, and its
// length.
struct ZeroRun {
  size_t begin = kGroups;
  size_t size = 0;
};

ZeroRun LongestZeroRun(const IpAddress& address) {
  ZeroRun best;
  for (size_t i = 0; i < kGroups;) {
    size_t end = i;
    while (end < kGroups && Group(address, end) == 0) ++end;
    if (end - i >= 2 && end - i > best.size) best = {i, end - i};
    i = end == i ? i + 1 : end;
  }
  return best;
}

std::optional<uint16_t> ParseGroup(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return static_cast<uint16_t>(value);
}

// Groups between colons, from the front. How many there are.
std::optional<size_t> ParseGroups(std::string_view text,
                                  uint16_t (&groups)[kGroups]) {
  size_t count = 0;
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const size_t length = colon == text.npos ? text.size() : colon;
    const auto group = ParseGroup({text.data(), length});
    if (!group.has_value() || count == kGroups) return std::nullopt;
    groups[count++] = *group;
    if (colon == text.npos) return count;
    text.remove_prefix(length + 1);
    if (text.empty()) return std::nullopt;
  }
  return count;
}

size_t FindGap(std::string_view text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == ':' && text[i + 1] == ':') return i;
  }
  return text.npos;
}

}  // namespace

std::optional<Ipv4Address> ParseIpv4WithPrefix(std::string_view text) {
  const auto address = BeforePrefix(text, 32);
  return address.has_value() ? ParseIpv4(*address) : std::nullopt;
}

bool IpAddress::is_ipv4() const {
  constexpr uint8_t kMapping[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return __builtin_memcmp(bytes, kMapping, sizeof(kMapping)) == 0;
}

Ipv4Address IpAddress::ipv4() const {
  return {uint32_t{bytes[12]} << 24 | uint32_t{bytes[13]} << 16 |
          uint32_t{bytes[14]} << 8 | bytes[15]};
}

bool operator==(const IpAddress& a, const IpAddress& b) {
  return __builtin_memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

IpAddress Mapped(Ipv4Address address) {
  IpAddress mapped = {};
  mapped.bytes[10] = 0xff;
  mapped.bytes[11] = 0xff;
  for (unsigned i = 0; i < 4; ++i) {
    mapped.bytes[12 + i] = static_cast<uint8_t>(address.value >> (24 - 8 * i));
  }
  return mapped;
}

void AppendTo(Writer& writer, const IpAddress& address) {
  if (address.is_ipv4()) return AppendTo(writer, address.ipv4());
  const ZeroRun run = LongestZeroRun(address);
  for (size_t i = 0; i < kGroups; ++i) {
    if (i == run.begin) {
      writer.Append("::");
      i += run.size - 1;
      continue;
    }
    if (i > 0 && i != run.begin + run.size) writer.Append(':');
    writer.AppendNumber(Group(address, i), 16, 1);
  }
}

std::optional<IpAddress> ParseIpv6(std::string_view text) {
  uint16_t head[kGroups] = {};
  uint16_t tail[kGroups] = {};
  const size_t gap = FindGap(text);
  const bool gapped = gap != text.npos;
  const auto heads =
      ParseGroups({text.data(), gapped ? gap : text.size()}, head);
  const auto tails =
      gapped ? ParseGroups({text.data() + gap + 2, text.size() - gap - 2}, tail)
             : std::optional<size_t>(0);
  if (!heads.has_value() || !tails.has_value()) return std::nullopt;
  const size_t given = *heads + *tails;
  if (gapped ? given >= kGroups : given != kGroups) return std::nullopt;
  IpAddress address = {};
  const auto put = [&](size_t index, uint16_t group) {
    address.bytes[2 * index] = static_cast<uint8_t>(group >> 8);
    address.bytes[2 * index + 1] = static_cast<uint8_t>(group);
  };
  for (size_t i = 0; i < *heads; ++i) put(i, head[i]);
  for (size_t i = 0; i < *tails; ++i) put(kGroups - *tails + i, tail[i]);
  return address;
}

std::optional<IpAddress> ParseIpv6WithPrefix(std::string_view text) {
  const auto address = BeforePrefix(text, 128);
  return address.has_value() ? ParseIpv6(*address) : std::nullopt;
}

}  // namespace serai::guest
