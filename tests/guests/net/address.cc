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

std::optional<Ipv4Address> ParseIpv4WithPrefix(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const std::string_view prefix(text.data() + slash + 1,
                                text.size() - slash - 1);
  if (!ParseNumber(prefix, 32).has_value()) return std::nullopt;
  return ParseIpv4({text.data(), slash});
}

}  // namespace serai::guest
