// SPDX-License-Identifier: Apache-2.0
#include "cni/tap_plugin/request.h"

#include <linux/if.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cni/config.h"
#include "cni/json.h"

namespace serai::tap_plugin {
namespace {

using nlohmann::json;

constexpr char kCodePayload[] = "cni.dev/code";
constexpr size_t kMaxId = 128;
constexpr size_t kMaxName = 64;
constexpr size_t kMaxVariable = 4096;
constexpr size_t kMaxAttachments = 100'000;
constexpr uint32_t kMinMtu = 68;
constexpr uint32_t kMaxMtu = 65535;

bool IsIdCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' ||
         c == '.' || c == '-';
}

// Of container ids and networks.
bool IsId(absl::string_view text, size_t max) {
  return !text.empty() && text.size() <= max &&
         absl::ascii_isalnum(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), IsIdCharacter);
}

bool IsInterface(absl::string_view text) {
  return !text.empty() && text.size() < IFNAMSIZ && text != "." &&
         text != ".." && std::all_of(text.begin(), text.end(), IsIdCharacter);
}

bool IsMac(absl::string_view mac) {
  if (mac.size() != 17) return false;
  for (size_t i = 0; i < mac.size(); ++i) {
    if (i % 3 == 2 ? mac[i] != ':'
                   : !absl::ascii_isxdigit(static_cast<unsigned char>(mac[i])))
      return false;
  }
  return true;
}

absl::Status BadEnvironment(absl::string_view name, absl::string_view what) {
  return CniError(ErrorCode::kInvalidEnvironment, absl::StrCat(name, what));
}
absl::Status BadConfig(absl::string_view what) {
  return CniError(ErrorCode::kInvalidConfig, what);
}

// The error of reading a field as the specification's.
template <typename T>
absl::StatusOr<T> OrBadConfig(absl::StatusOr<T> value) {
  if (value.ok()) return value;
  return BadConfig(value.status().message());
}

absl::StatusOr<std::string> Text(const json& object, absl::string_view key) {
  return OrBadConfig(cni::StringField(object, key));
}

absl::Status ReadBool(const json& object, absl::string_view key, bool& out) {
  const json& member = cni::Member(object, key);
  if (member.is_null()) return absl::OkStatus();
  if (!member.is_boolean()) {
    return BadConfig(absl::StrCat("\"", key, "\" is not true or false"));
  }
  out = member.get<bool>();
  return absl::OkStatus();
}

// What would otherwise be left out without a word.
absl::Status RefuseWhatIsNotDone(const json& object) {
  bool masquerade = false;
  RETURN_IF_ERROR(ReadBool(object, "ipMasq", masquerade));
  if (masquerade) {
    return CniError(
        ErrorCode::kUnsupportedField,
        "\"ipMasq\": serai-tap does not masquerade; leave it out, and have the "
        "node do it once for the whole subnet: iptables -t nat -A POSTROUTING "
        "-s SUBNET ! -o BRIDGE -j MASQUERADE");
  }
  for (const char* key :
       {"vlan", "vlanTrunk", "macspoofchk", "portIsolation"}) {
    const json& member = cni::Member(object, key);
    if (member.is_null() || member == false || member == 0) continue;
    return CniError(ErrorCode::kUnsupportedField,
                    absl::StrCat("\"", key,
                                 "\" is the bridge plugin's and nothing that "
                                 "serai-tap does; leave it out"));
  }
  return absl::OkStatus();
}

absl::Status ReadBridge(const json& object, Config& config) {
  RETURN_IF_ERROR(RefuseWhatIsNotDone(object));
  ASSIGN_OR_RETURN(const std::string bridge, Text(object, "bridge"));
  if (!bridge.empty()) config.bridge = bridge;
  if (!IsInterface(config.bridge)) {
    return BadConfig(absl::StrCat("\"bridge\": \"", bridge,
                                  "\" is no link's name of at most 15 letters, "
                                  "digits, \".\", \"_\" and \"-\""));
  }
  const json& ipam = cni::Member(object, "ipam");
  ASSIGN_OR_RETURN(config.ipam, Text(ipam, "type"));
  if (config.ipam.empty() || absl::StrContains(config.ipam, '/')) {
    return BadConfig(
        "\"ipam\" names no IPAM plugin (\"type\": \"host-local\")");
  }
  RETURN_IF_ERROR(ReadBool(object, "isGateway", config.is_gateway));
  RETURN_IF_ERROR(
      ReadBool(object, "isDefaultGateway", config.is_default_gateway));
  config.is_gateway |= config.is_default_gateway;
  RETURN_IF_ERROR(ReadBool(object, "hairpinMode", config.hairpin));
  RETURN_IF_ERROR(ReadBool(object, "promiscMode", config.promiscuous));
  if (config.hairpin && config.promiscuous) {
    return BadConfig(
        "\"hairpinMode\" and \"promiscMode\" are two ways to the same end; "
        "choose one");
  }
  return absl::OkStatus();
}

absl::Status ReadMtu(const json& object, Config& config) {
  const json& mtu = cni::Member(object, "mtu");
  if (mtu.is_null() || mtu == 0) return absl::OkStatus();
  if (!mtu.is_number_integer() || mtu < kMinMtu || mtu > kMaxMtu) {
    return BadConfig("\"mtu\" is no number of bytes from 68 to 65535");
  }
  config.mtu = mtu.get<uint32_t>();
  return absl::OkStatus();
}

absl::Status ReadValid(const json& object, Config& config) {
  const json& list = cni::Member(object, "cni.dev/valid-attachments");
  if (list.is_null()) return absl::OkStatus();
  if (!list.is_array() || list.size() > kMaxAttachments) {
    return BadConfig("\"cni.dev/valid-attachments\" is no list");
  }
  config.valid.emplace();
  for (const json& entry : list) {
    ASSIGN_OR_RETURN(std::string id, Text(entry, "containerID"));
    ASSIGN_OR_RETURN(std::string interface, Text(entry, "ifname"));
    config.valid->emplace_back(std::move(id), std::move(interface));
  }
  return absl::OkStatus();
}

absl::Status ReadMacWish(const json& object, Config& config) {
  ASSIGN_OR_RETURN(config.mac,
                   Text(cni::Member(object, "runtimeConfig"), "mac"));
  if (config.mac.empty() || IsMac(config.mac)) return absl::OkStatus();
  return BadConfig("\"runtimeConfig\".\"mac\" is no hardware address");
}

absl::Status CheckVersion(const std::string& version) {
  if (cni::IsSupportedVersion(version)) return absl::OkStatus();
  return CniError(
      ErrorCode::kIncompatibleVersion,
      absl::StrCat(version.empty() ? "no cniVersion" : "cniVersion " + version,
                   "; serai-tap speaks ",
                   absl::StrJoin(cni::SupportedVersions(), ", ")));
}

absl::StatusOr<json> ReadObject(absl::string_view text) {
  absl::StatusOr<json> object = cni::ParseJson(text);
  if (object.ok() && object->is_object()) return object;
  return CniError(
      ErrorCode::kDecodingFailure,
      absl::StrCat("the configuration: ",
                   object.ok() ? "not an object" : object.status().message()));
}

// "MAC=…" among "KEY=value;KEY=value".
absl::StatusOr<std::string> MacIn(absl::string_view args) {
  for (const absl::string_view arg : absl::StrSplit(args, ';')) {
    if (!absl::StartsWith(arg, "MAC=")) continue;
    const absl::string_view mac = arg.substr(4);
    if (!IsMac(mac)) return BadEnvironment("CNI_ARGS", ": MAC is no address");
    return absl::AsciiStrToLower(mac);
  }
  return std::string();
}

}  // namespace

absl::Status CniError(ErrorCode code, absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kCodePayload,
                    absl::Cord(absl::StrCat(static_cast<int>(code))));
  return status;
}

ErrorCode CodeOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kCodePayload);
  int code = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &code)) {
    return absl::IsUnavailable(status) ? ErrorCode::kTryAgainLater
                                       : ErrorCode::kInternal;
  }
  return static_cast<ErrorCode>(code);
}

absl::StatusOr<Environment> ReadEnvironment(
    const std::function<std::string(const char*)>& get) {
  Environment out;
  for (const auto& [name, value] :
       {std::pair("CNI_COMMAND", &out.command),
        std::pair("CNI_CONTAINERID", &out.container_id),
        std::pair("CNI_NETNS", &out.netns),
        std::pair("CNI_IFNAME", &out.interface),
        std::pair("CNI_ARGS", &out.args), std::pair("CNI_PATH", &out.path)}) {
    *value = get(name);
    if (value->size() > kMaxVariable) {
      return BadEnvironment(name, " is longer than 4096 bytes");
    }
  }
  const std::string& c = out.command;
  if (c == "VERSION" || c == "STATUS" || c == "GC") return out;
  if (c != "ADD" && c != "DEL" && c != "CHECK") {
    return BadEnvironment(
        "CNI_COMMAND", " is none of ADD, DEL, CHECK, GC, STATUS and VERSION");
  }
  if (!IsId(out.container_id, kMaxId)) {
    return BadEnvironment("CNI_CONTAINERID", " is no container id");
  }
  if (!IsInterface(out.interface)) {
    return BadEnvironment("CNI_IFNAME", " is no link's name");
  }
  if (out.netns.empty() && c != "DEL") {
    return BadEnvironment("CNI_NETNS", " is not set");
  }
  ASSIGN_OR_RETURN(out.mac, MacIn(out.args));
  return out;
}

absl::StatusOr<Config> ReadConfig(absl::string_view text) {
  Config config;
  ASSIGN_OR_RETURN(config.json, ReadObject(text));
  ASSIGN_OR_RETURN(config.version, Text(config.json, "cniVersion"));
  RETURN_IF_ERROR(CheckVersion(config.version));
  ASSIGN_OR_RETURN(config.name, Text(config.json, "name"));
  if (!IsId(config.name, kMaxName)) {
    return BadConfig(
        "\"name\" is no network's name of at most 64 letters, digits, \".\", "
        "\"_\" and \"-\"");
  }
  config.previous = cni::Member(config.json, "prevResult");
  if (!config.previous.is_null() && !config.previous.is_object()) {
    return BadConfig("\"prevResult\" is not an object");
  }
  config.chained = cni::Member(config.json, "ipam").is_null() &&
                   cni::Member(config.json, "bridge").is_null();
  RETURN_IF_ERROR(ReadValid(config.json, config));
  if (!config.chained) {
    RETURN_IF_ERROR(ReadBridge(config.json, config));
    RETURN_IF_ERROR(ReadMtu(config.json, config));
    RETURN_IF_ERROR(ReadMacWish(config.json, config));
    return config;
  }
  ASSIGN_OR_RETURN(config.tap, Text(config.json, "tap"));
  if (!config.tap.empty() && !IsInterface(config.tap)) {
    return BadConfig("\"tap\" is no link's name");
  }
  return config;
}

absl::StatusOr<std::string> ReadVersion(absl::string_view text) {
  ASSIGN_OR_RETURN(const json object, ReadObject(text));
  return Text(object, "cniVersion");
}

}  // namespace serai::tap_plugin
