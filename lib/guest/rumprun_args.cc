// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/rumprun_args.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/oci/json_reader.h"

namespace serai::guest {
namespace {

using oci::Json;

constexpr absl::string_view kSpaces = " \t\n";
constexpr absl::string_view kQuotes = "\\\"'";

// A word as rumprun's parser takes it back. Backslashes only where they must
// be: older versions leave those of JSON in.
std::string Quote(const std::string& word) {
  const bool has_quotes = word.find_first_of(kQuotes.data()) != word.npos;
  const bool has_spaces = word.find_first_of(kSpaces.data()) != word.npos;
  if (!has_quotes) {
    return has_spaces || word.empty() ? absl::StrCat("'", word, "'") : word;
  }
  std::string quoted;
  for (const char c : word) {
    if (absl::StrContains(kSpaces, c) || absl::StrContains(kQuotes, c)) {
      quoted.push_back('\\');
    }
    quoted.push_back(c);
  }
  return quoted;
}

// A member of an object whose keys may come more than once.
void Put(absl::string_view key, const Json& value, std::string& object) {
  absl::StrAppend(&object, object.empty() ? "" : ",", "\"", key,
                  "\":", oci::Dump(value, -1));
}

std::optional<uint32_t> Ipv4(const std::string& text) {
  in_addr address = {};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

// NetBSD takes no gateway outside of the network, as clusters have it for
// addresses with a prefix of 32: the network is half of all addresses then.
uint32_t PrefixLength(const NetworkAddress& address) {
  const std::optional<uint32_t> own = Ipv4(address.address);
  const std::optional<uint32_t> gateway = Ipv4(address.gateway);
  if (!own || !gateway || address.prefix_length > 32) return 1;
  const uint32_t mask = address.prefix_length == 0
                            ? 0
                            : ~uint32_t{0} << (32 - address.prefix_length);
  const bool outside = (*own & mask) != (*gateway & mask);
  return outside || address.prefix_length == 32 ? 1 : address.prefix_length;
}

std::optional<Json> NetOf(const NetworkFacts& facts) {
  if (facts.devices.empty()) return std::nullopt;
  const auto& addresses = facts.devices.front().addresses;
  const auto address = std::find_if(
      addresses.begin(), addresses.end(),
      [](const auto& entry) { return Ipv4(entry.address).has_value(); });
  if (address == addresses.end()) return std::nullopt;
  const uint32_t prefix = address->gateway.empty() ? address->prefix_length
                                                   : PrefixLength(*address);
  Json net = {{"if", "ukvmif0"},          {"cloner", "True"},
              {"type", "inet"},           {"method", "static"},
              {"addr", address->address}, {"mask", absl::StrCat(prefix)}};
  if (!address->gateway.empty()) net["gw"] = address->gateway;
  return net;
}

bool HasBlock(const std::vector<oci::GuestDevice>& devices) {
  return std::any_of(devices.begin(), devices.end(), [](const auto& device) {
    return device.type == oci::GuestDevice::Type::kBlock;
  });
}

}  // namespace

std::string RumprunCommandLine(const RumprunProgram& program,
                               const NetworkFacts& facts,
                               const std::vector<oci::GuestDevice>& devices) {
  std::vector<std::string> words = {Quote(program.name)};
  for (const std::string& arg : program.args) words.push_back(Quote(arg));
  std::string object;
  Put("cmdline", absl::StrJoin(words, " "), object);
  for (const std::string& variable : program.env) {
    Put("env", variable, object);
  }
  Put("cwd", program.cwd.empty() ? "/" : program.cwd, object);
  if (const auto net = NetOf(facts)) Put("net", *net, object);
  if (HasBlock(devices)) {
    Put("blk",
        {{"source", "etfs"},
         {"path", "/dev/ld0a"},
         {"fstype", "blk"},
         {"mountpoint", "/data"}},
        object);
  }
  return absl::StrCat("{", object, "}");
}

}  // namespace serai::guest
