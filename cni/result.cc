// SPDX-License-Identifier: Apache-2.0
#include "cni/result.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "cni/config.h"
#include "cni/json.h"

namespace serai::cni {
namespace {

using nlohmann::json;

constexpr size_t kMaxEntries = 1024;

struct Address {
  std::string text;  // canonical
  bool is_ipv6 = false;
};

absl::StatusOr<Address> ReadAddress(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes = {};
  std::array<char, INET6_ADDRSTRLEN> canonical = {};
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, text.c_str(), bytes.data()) == 1 &&
        ::inet_ntop(family, bytes.data(), canonical.data(), canonical.size()) !=
            nullptr) {
      return Address{canonical.data(), family == AF_INET6};
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", Printable(text), "\" is no IP address"));
}

struct Network {
  Address address;
  int prefix_length = 0;
};

absl::StatusOr<Network> ReadNetwork(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string digits =
      slash == std::string::npos ? "" : text.substr(slash + 1);
  Network network;
  int length = -1;
  const bool digits_ok =
      !digits.empty() && digits.size() <= 3 &&
      digits.find_first_not_of("0123456789") == std::string::npos &&
      absl::SimpleAtoi(digits, &length);
  if (digits_ok) {
    ASSIGN_OR_RETURN(network.address, ReadAddress(text.substr(0, slash)));
  }
  if (!digits_ok || length > (network.address.is_ipv6 ? 128 : 32)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", Printable(text), "\" is no address with a prefix length"));
  }
  network.prefix_length = length;
  return network;
}

// The gateway in `key`; empty when there is none.
absl::StatusOr<std::string> ReadGateway(const json& object,
                                        absl::string_view key, bool is_ipv6) {
  ASSIGN_OR_RETURN(const std::string text, StringField(object, key));
  if (text.empty()) return text;
  ASSIGN_OR_RETURN(Address address, ReadAddress(text));
  if (address.is_ipv6 != is_ipv6) {
    return absl::InvalidArgumentError(
        absl::StrCat("gateway ", address.text, " is of another family"));
  }
  return std::move(address.text);
}

// "aa:bb:cc:dd:ee:ff" in lower case; empty stays empty.
absl::StatusOr<std::string> ReadMac(const json& interface) {
  ASSIGN_OR_RETURN(const std::string text, StringField(interface, "mac"));
  bool good = text.empty() || text.size() == 17;
  for (size_t i = 0; good && i < text.size(); ++i) {
    good = i % 3 == 2
               ? text[i] == ':'
               : absl::ascii_isxdigit(static_cast<unsigned char>(text[i]));
  }
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no hardware address"));
  }
  return absl::AsciiStrToLower(text);
}

// The list in `key`; an empty one when there is none.
absl::StatusOr<const json*> ReadList(const json& object,
                                     absl::string_view key) {
  static const json empty = json::array();
  const json& member = Member(object, key);
  if (member.is_null()) return &empty;
  if (!member.is_array() || member.size() > kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", key, "\" is not a list of at most ", kMaxEntries, " entries"));
  }
  for (const json& element : member) {
    if (!element.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", key, "\" holds something that is no object"));
    }
  }
  return &member;
}

// Whether the address is the pod interface's. One without an interface, and
// all of a result without interfaces, are the only interface's.
absl::StatusOr<bool> IsPodsAddress(const json& ip, const json& interfaces,
                                   absl::string_view interface_name) {
  const json& index = Member(ip, "interface");
  if (index.is_null()) return true;
  if (!index.is_number_integer() || index < 0 || index >= interfaces.size()) {
    return absl::InvalidArgumentError("\"interface\" is no interface's index");
  }
  const json& interface = interfaces[index.get<size_t>()];
  ASSIGN_OR_RETURN(const std::string name, StringField(interface, "name"));
  ASSIGN_OR_RETURN(const std::string sandbox,
                   StringField(interface, "sandbox"));
  return !sandbox.empty() && name == interface_name;
}

absl::StatusOr<IpConfig> ReadIp(const json& ip) {
  ASSIGN_OR_RETURN(const std::string text, StringField(ip, "address"));
  ASSIGN_OR_RETURN(Network network, ReadNetwork(text));
  IpConfig config;
  config.is_ipv6 = network.address.is_ipv6;
  config.address = std::move(network.address.text);
  config.prefix_length = network.prefix_length;
  ASSIGN_OR_RETURN(config.gateway, ReadGateway(ip, "gateway", config.is_ipv6));
  return config;
}

absl::StatusOr<Route> ReadRoute(const json& object) {
  ASSIGN_OR_RETURN(const std::string text, StringField(object, "dst"));
  ASSIGN_OR_RETURN(Network network, ReadNetwork(text));
  Route route;
  route.is_ipv6 = network.address.is_ipv6;
  route.destination = std::move(network.address.text);
  route.prefix_length = network.prefix_length;
  ASSIGN_OR_RETURN(route.gateway, ReadGateway(object, "gw", route.is_ipv6));
  return route;
}

absl::StatusOr<Dns> ReadDns(const json& dns) {
  if (!dns.is_null() && !dns.is_object()) {
    return absl::InvalidArgumentError("not an object");
  }
  Dns result;
  ASSIGN_OR_RETURN(const std::vector<std::string> nameservers,
                   StringListField(dns, "nameservers"));
  for (const std::string& text : nameservers) {
    ASSIGN_OR_RETURN(Address address, ReadAddress(text));
    result.nameservers.push_back(std::move(address.text));
  }
  ASSIGN_OR_RETURN(result.domain, StringField(dns, "domain"));
  ASSIGN_OR_RETURN(result.search, StringListField(dns, "search"));
  ASSIGN_OR_RETURN(result.options, StringListField(dns, "options"));
  return result;
}

}  // namespace

absl::StatusOr<json> ParseResult(absl::string_view text) {
  if (absl::StripAsciiWhitespace(text).empty()) {
    return absl::InvalidArgumentError("nothing");
  }
  ASSIGN_OR_RETURN(json result, ParseJson(text));
  if (!result.is_object()) return absl::InvalidArgumentError("not an object");
  ASSIGN_OR_RETURN(const std::string version,
                   StringField(result, "cniVersion"));
  if (!version.empty() && !IsSupportedVersion(version)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cniVersion ", version, " is not supported"));
  }
  return result;
}

absl::StatusOr<Result> ReadResult(const json& result,
                                  absl::string_view interface_name) {
  Result read;
  ASSIGN_OR_RETURN(const json* interfaces, ReadList(result, "interfaces"));
  for (const json& interface : *interfaces) {
    ASSIGN_OR_RETURN(const std::string name, StringField(interface, "name"));
    ASSIGN_OR_RETURN(const std::string sandbox,
                     StringField(interface, "sandbox"));
    ASSIGN_OR_RETURN(std::string mac, ReadMac(interface), "interface ", name);
    if (!sandbox.empty() && name == interface_name) read.mac = std::move(mac);
  }
  ASSIGN_OR_RETURN(const json* ips, ReadList(result, "ips"));
  for (const json& ip : *ips) {
    ASSIGN_OR_RETURN(IpConfig config, ReadIp(ip), "ips");
    ASSIGN_OR_RETURN(const bool pods,
                     IsPodsAddress(ip, *interfaces, interface_name), "ips");
    if (pods) read.ips.push_back(std::move(config));
  }
  if (read.ips.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no address for ", interface_name));
  }
  ASSIGN_OR_RETURN(const json* routes, ReadList(result, "routes"));
  for (const json& object : *routes) {
    ASSIGN_OR_RETURN(Route route, ReadRoute(object), "routes");
    read.routes.push_back(std::move(route));
  }
  ASSIGN_OR_RETURN(read.dns, ReadDns(Member(result, "dns")), "dns");
  read.json = Dump(result);
  return read;
}

absl::StatusOr<std::vector<std::string>> ParseVersions(absl::string_view text) {
  ASSIGN_OR_RETURN(const json answer, ParseJson(text));
  ASSIGN_OR_RETURN(std::vector<std::string> versions,
                   StringListField(answer, "supportedVersions"));
  if (versions.empty()) {
    return absl::InvalidArgumentError("\"supportedVersions\" is missing");
  }
  return versions;
}

std::optional<PluginError> ParsePluginError(absl::string_view text) {
  const absl::StatusOr<json> object = ParseJson(text);
  if (!object.ok()) return std::nullopt;
  const json& code = Member(*object, "code");
  const auto* message = Member(*object, "msg").get_ptr<const std::string*>();
  if (!code.is_number_integer() || message == nullptr) return std::nullopt;
  PluginError error;
  if (code >= 0 && code <= INT32_MAX) error.code = code.get<int>();
  error.message = Printable(*message);
  const auto* details =
      Member(*object, "details").get_ptr<const std::string*>();
  if (details != nullptr && !details->empty()) {
    absl::StrAppend(&error.message, "; ", Printable(*details));
  }
  return error;
}

}  // namespace serai::cni
