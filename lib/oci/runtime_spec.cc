// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/runtime_spec.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace serai::oci {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxDevices = 63;  // a Solo5 manifest lists no more
constexpr uint32_t kMinMtu = 68;
constexpr uint32_t kMaxMtu = 65535;
constexpr char kOciVersion[] = "1.0.2";

absl::Status Bad(absl::string_view member, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(member, " ", what));
}

// nullopt also for one that nests too deep.
std::optional<Json> ParseJson(absl::string_view text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  Json json =
      Json::parse(text.data(), text.data() + text.size(), watch_depth, false);
  if (too_deep || json.is_discarded()) return std::nullopt;
  return json;
}

// The member `key` of `object`; null when it is absent or null.
const Json* Member(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return nullptr;
  return &*found;
}

// The readers below take what is there to `out`, leave it as it is when the
// member is absent, and say which member is wrong. `path` is the name of
// `object` with a dot, for messages.

absl::Status ReadObject(const Json& object, const std::string& path,
                        const char* key, const Json*& out) {
  out = Member(object, key);
  if (out != nullptr && !out->is_object()) {
    return Bad(path + key, "is not an object");
  }
  return absl::OkStatus();
}

absl::Status ReadString(const Json& object, const std::string& path,
                        const char* key, std::string& out) {
  const Json* member = Member(object, key);
  if (member == nullptr) return absl::OkStatus();
  if (!member->is_string()) return Bad(path + key, "is not a string");
  out = member->get_ref<const std::string&>();
  // Everything that is read here becomes a path, a name or an argument.
  if (out.find('\0') != std::string::npos) {
    return Bad(path + key, "has a NUL in it");
  }
  return absl::OkStatus();
}

template <typename Int, typename Out>
absl::Status ReadInteger(const Json& object, const std::string& path,
                         const char* key, Out& out) {
  const Json* member = Member(object, key);
  if (member == nullptr) return absl::OkStatus();
  if (!member->is_number_integer()) return Bad(path + key, "is not an integer");
  if (member->is_number_unsigned()) {
    const auto value = member->get<uint64_t>();
    if (value > static_cast<uint64_t>(std::numeric_limits<Int>::max())) {
      return Bad(path + key, "is out of range");
    }
    out = static_cast<Int>(value);
    return absl::OkStatus();
  }
  const auto value = member->get<int64_t>();
  if constexpr (std::is_unsigned_v<Int>) {
    return Bad(path + key, "is negative");
  } else if (value < std::numeric_limits<Int>::min()) {
    return Bad(path + key, "is out of range");
  }
  out = static_cast<Int>(value);
  return absl::OkStatus();
}

absl::Status ReadBool(const Json& object, const std::string& path,
                      const char* key, bool& out) {
  const Json* member = Member(object, key);
  if (member == nullptr) return absl::OkStatus();
  if (!member->is_boolean()) return Bad(path + key, "is not true or false");
  out = member->get<bool>();
  return absl::OkStatus();
}

absl::Status ReadProcess(const Json& document, RuntimeSpec& spec) {
  const Json* process = nullptr;
  RETURN_IF_ERROR(ReadObject(document, "", "process", process));
  if (process == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(ReadInteger<int>(*process, "process.", "oomScoreAdj",
                                   spec.oom_score_adj));
  const Json* args = Member(*process, "args");
  if (args == nullptr) return absl::OkStatus();
  if (!args->is_array()) return Bad("process.args", "is not an array");
  for (const Json& arg : *args) {
    if (!arg.is_string()) return Bad("process.args", "has what is no string");
    spec.args.push_back(arg.get_ref<const std::string&>());
    if (spec.args.back().find('\0') != std::string::npos) {
      return Bad("process.args", "has a NUL in it");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadResources(const Json& linux_part, Resources& resources) {
  const Json* object = nullptr;
  RETURN_IF_ERROR(ReadObject(linux_part, "linux.", "resources", object));
  if (object == nullptr) return absl::OkStatus();
  const std::string path = "linux.resources.";
  const Json* part = nullptr;
  RETURN_IF_ERROR(ReadObject(*object, path, "memory", part));
  if (part != nullptr) {
    RETURN_IF_ERROR(ReadInteger<int64_t>(*part, path + "memory.", "limit",
                                         resources.memory_limit));
  }
  RETURN_IF_ERROR(ReadObject(*object, path, "pids", part));
  if (part != nullptr) {
    RETURN_IF_ERROR(ReadInteger<int64_t>(*part, path + "pids.", "limit",
                                         resources.pids_limit));
  }
  RETURN_IF_ERROR(ReadObject(*object, path, "cpu", part));
  if (part == nullptr) return absl::OkStatus();
  const std::string cpu = path + "cpu.";
  RETURN_IF_ERROR(
      ReadInteger<uint64_t>(*part, cpu, "shares", resources.cpu_shares));
  RETURN_IF_ERROR(
      ReadInteger<int64_t>(*part, cpu, "quota", resources.cpu_quota));
  RETURN_IF_ERROR(
      ReadInteger<uint64_t>(*part, cpu, "period", resources.cpu_period));
  RETURN_IF_ERROR(ReadString(*part, cpu, "cpus", resources.cpus));
  return ReadString(*part, cpu, "mems", resources.mems);
}

absl::Status ReadLinux(const Json& document, RuntimeSpec& spec) {
  const Json* object = nullptr;
  RETURN_IF_ERROR(ReadObject(document, "", "linux", object));
  if (object == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(
      ReadString(*object, "linux.", "cgroupsPath", spec.cgroups_path));
  RETURN_IF_ERROR(ReadResources(*object, spec.resources));
  const Json* namespaces = Member(*object, "namespaces");
  if (namespaces == nullptr) return absl::OkStatus();
  if (!namespaces->is_array()) {
    return Bad("linux.namespaces", "is not an array");
  }
  const std::string path = "linux.namespaces[].";
  for (const Json& entry : *namespaces) {
    if (!entry.is_object()) return Bad("linux.namespaces", "has no objects");
    std::string type;
    RETURN_IF_ERROR(ReadString(entry, path, "type", type));
    if (type != "network") continue;
    RETURN_IF_ERROR(ReadString(entry, path, "path", spec.network_namespace));
  }
  return absl::OkStatus();
}

// A name of the guest's manifest: what the tender's options can name.
bool IsDeviceName(absl::string_view name) {
  if (name.empty() || name.size() > 67) return false;
  for (const char c : name) {
    const bool alphanumeric = (c >= '0' && c <= '9') ||
                              (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alphanumeric) return false;
  }
  return true;
}

bool IsMac(absl::string_view mac) {
  if (mac.size() != 17) return false;
  for (size_t i = 0; i < mac.size(); ++i) {
    const char c = mac[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                     (c >= 'A' && c <= 'F');
    if (i % 3 == 2 ? c != ':' : !hex) return false;
  }
  return true;
}

absl::Status ReadNetDevice(const Json& entry, GuestDevice& device) {
  RETURN_IF_ERROR(ReadString(entry, "", "tap", device.tap));
  RETURN_IF_ERROR(ReadString(entry, "", "mac", device.mac));
  RETURN_IF_ERROR(ReadInteger<uint32_t>(entry, "", "mtu", device.mtu));
  // The kernel's limit for an interface's name, and what it refuses in one.
  if (device.tap.empty() || device.tap.size() > 15 ||
      device.tap.find('/') != std::string::npos) {
    return Bad("tap", "is no interface name");
  }
  if (!device.mac.empty() && !IsMac(device.mac)) {
    return Bad("mac", "is not of the form aa:bb:cc:dd:ee:ff");
  }
  if (device.mtu != 0 && (device.mtu < kMinMtu || device.mtu > kMaxMtu)) {
    return Bad("mtu", "is out of range");
  }
  return absl::OkStatus();
}

absl::Status ReadBlockDevice(const Json& entry, GuestDevice& device) {
  RETURN_IF_ERROR(ReadString(entry, "", "path", device.path));
  RETURN_IF_ERROR(ReadBool(entry, "", "readonly", device.read_only));
  if (device.path.empty() || device.path[0] != '/') {
    return Bad("path", "is not absolute");
  }
  return absl::OkStatus();
}

absl::StatusOr<GuestDevice> ReadDevice(const Json& entry) {
  if (!entry.is_object()) return Bad("an entry", "is not an object");
  GuestDevice device;
  std::string type;
  RETURN_IF_ERROR(ReadString(entry, "", "name", device.name));
  RETURN_IF_ERROR(ReadString(entry, "", "type", type));
  if (!IsDeviceName(device.name)) {
    return Bad("name", "is not 1 to 67 letters and digits");
  }
  if (type == "net") {
    device.type = GuestDevice::Type::kNet;
    RETURN_IF_ERROR(ReadNetDevice(entry, device), device.name);
  } else if (type == "block") {
    device.type = GuestDevice::Type::kBlock;
    RETURN_IF_ERROR(ReadBlockDevice(entry, device), device.name);
  } else {
    return Bad(device.name + ": type", "is neither net nor block");
  }
  return device;
}

absl::Status ReadDevices(const std::string& text,
                         std::vector<GuestDevice>& devices) {
  const std::optional<Json> json = ParseJson(text);
  if (!json || !json->is_array()) {
    return absl::InvalidArgumentError("not a JSON array");
  }
  if (json->size() > kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kMaxDevices, " devices"));
  }
  std::set<std::string> names;
  for (const Json& entry : *json) {
    ASSIGN_OR_RETURN(GuestDevice device, ReadDevice(entry));
    if (!names.insert(device.name).second) {
      return Bad(device.name, "is there twice");
    }
    devices.push_back(std::move(device));
  }
  return absl::OkStatus();
}

absl::Status ReadAnnotations(const Json& document, RuntimeSpec& spec) {
  const Json* object = nullptr;
  RETURN_IF_ERROR(ReadObject(document, "", "annotations", object));
  if (object == nullptr) return absl::OkStatus();
  for (const auto& [key, value] : object->items()) {
    if (!value.is_string()) {
      return Bad(absl::StrCat("annotation ", key), "is not a string");
    }
    const auto& text = value.get_ref<const std::string&>();
    if (key == kUnikernelAnnotation) {
      RETURN_IF_ERROR(ReadString(*object, "annotation ", kUnikernelAnnotation,
                                 spec.unikernel));
    } else if (key == kMemoryAnnotation) {
      uint64_t bytes = 0;
      if (!absl::SimpleAtoi(text, &bytes) || bytes == 0) {
        return Bad(kMemoryAnnotation, "is not a number of bytes");
      }
      spec.guest_memory = bytes;
    } else if (key == kDevicesAnnotation) {
      RETURN_IF_ERROR(ReadDevices(text, spec.devices), kDevicesAnnotation);
    } else {
      spec.annotations[key] = text;
    }
  }
  return absl::OkStatus();
}

// Only what is set, so that a reader sees what was meant.
template <typename T>
void Put(Json& object, const char* key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}
void Put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}

Json DevicesJson(const std::vector<GuestDevice>& devices) {
  Json array = Json::array();
  for (const GuestDevice& device : devices) {
    Json entry = {{"name", device.name}};
    if (device.type == GuestDevice::Type::kNet) {
      entry["type"] = "net";
      entry["tap"] = device.tap;
      Put(entry, "mac", device.mac);
      if (device.mtu != 0) entry["mtu"] = device.mtu;
    } else {
      entry["type"] = "block";
      entry["path"] = device.path;
      entry["readonly"] = device.read_only;
    }
    array.push_back(std::move(entry));
  }
  return array;
}

Json ResourcesJson(const Resources& resources) {
  Json json = Json::object();
  Put(json["memory"] = Json::object(), "limit", resources.memory_limit);
  Put(json["pids"] = Json::object(), "limit", resources.pids_limit);
  Json& cpu = json["cpu"] = Json::object();
  Put(cpu, "shares", resources.cpu_shares);
  Put(cpu, "quota", resources.cpu_quota);
  Put(cpu, "period", resources.cpu_period);
  Put(cpu, "cpus", resources.cpus);
  Put(cpu, "mems", resources.mems);
  for (const char* part : {"memory", "pids", "cpu"}) {
    if (json[part].empty()) json.erase(part);
  }
  return json;
}

// Bytes that are no UTF-8 (which JSON can't hold) become U+FFFD.
std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<RuntimeSpec> ParseRuntimeSpec(absl::string_view json) {
  if (json.size() > kMaxRuntimeSpecBytes) {
    return Bad("config.json", "is too long");
  }
  const std::optional<Json> document = ParseJson(json);
  if (!document || !document->is_object()) {
    return Bad("config.json", "is not a JSON object");
  }
  RuntimeSpec spec;
  const Json* root = nullptr;
  RETURN_IF_ERROR(ReadObject(*document, "", "root", root));
  if (root != nullptr) {
    RETURN_IF_ERROR(ReadString(*root, "root.", "path", spec.root_path));
  }
  if (spec.root_path.empty()) return Bad("root.path", "is missing");
  RETURN_IF_ERROR(ReadProcess(*document, spec));
  RETURN_IF_ERROR(ReadString(*document, "", "hostname", spec.hostname));
  RETURN_IF_ERROR(ReadLinux(*document, spec));
  RETURN_IF_ERROR(ReadAnnotations(*document, spec));
  if (spec.unikernel.empty() && (spec.args.empty() || spec.args[0].empty())) {
    return Bad("process.args", "names no unikernel");
  }
  return spec;
}

std::string ToJson(const RuntimeSpec& spec) {
  Json annotations = spec.annotations;
  Put(annotations, kUnikernelAnnotation, spec.unikernel);
  if (spec.guest_memory) {
    annotations[kMemoryAnnotation] = absl::StrCat(*spec.guest_memory);
  }
  if (!spec.devices.empty()) {
    annotations[kDevicesAnnotation] = Dump(DevicesJson(spec.devices), -1);
  }
  Json process = {{"args", spec.args}, {"cwd", "/"}};
  Put(process, "oomScoreAdj", spec.oom_score_adj);
  Json linux_part = {{"resources", ResourcesJson(spec.resources)}};
  Put(linux_part, "cgroupsPath", spec.cgroups_path);
  if (!spec.network_namespace.empty()) {
    linux_part["namespaces"] =
        Json::array({{{"type", "network"}, {"path", spec.network_namespace}}});
  }
  Json document = {{"ociVersion", kOciVersion},
                   {"root", {{"path", spec.root_path}}},
                   {"process", std::move(process)},
                   {"linux", std::move(linux_part)}};
  Put(document, "hostname", spec.hostname);
  if (!annotations.empty()) document["annotations"] = std::move(annotations);
  return Dump(document, 2) + "\n";
}

}  // namespace serai::oci
