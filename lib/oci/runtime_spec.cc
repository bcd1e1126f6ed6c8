// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/runtime_spec.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/oci/json_reader.h"

namespace serai::oci {
namespace {

// More than any guest can use; each is looked up among the rules.
constexpr size_t kMaxBlockDevices = 1024;
constexpr uint32_t kMaxMajor = (1 << 12) - 1;
constexpr uint32_t kMaxMinor = (1 << 20) - 1;

absl::Status ReadStrings(const Json& object, const std::string& path,
                         const char* key, std::vector<std::string>& out) {
  const Json* array = Member(object, key);
  if (array == nullptr) return absl::OkStatus();
  if (!array->is_array()) return Bad(path + key, "is not an array");
  for (const Json& entry : *array) {
    if (!entry.is_string()) return Bad(path + key, "has what is no string");
    out.push_back(entry.get_ref<const std::string&>());
    if (out.back().find('\0') != std::string::npos) {
      return Bad(path + key, "has a NUL in it");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadProcess(const Json& document, RuntimeSpec& spec) {
  const Json* process = nullptr;
  RETURN_IF_ERROR(ReadObject(document, "", "process", process));
  if (process == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(ReadInteger<int>(*process, "process.", "oomScoreAdj",
                                   spec.oom_score_adj));
  RETURN_IF_ERROR(ReadString(*process, "process.", "cwd", spec.cwd));
  RETURN_IF_ERROR(ReadStrings(*process, "process.", "args", spec.args));
  return ReadStrings(*process, "process.", "env", spec.env);
}

// Zero stands for none: some who write a specification leave nothing out.
template <typename Int>
absl::Status ReadLimit(const Json& object, const std::string& path,
                       const char* key, std::optional<Int>& out) {
  RETURN_IF_ERROR(ReadInteger<Int>(object, path, key, out));
  if (out == Int{0}) out.reset();
  return absl::OkStatus();
}

absl::Status ReadResourceMembers(const Json& object, const std::string& path,
                                 Resources& resources) {
  const Json* part = nullptr;
  RETURN_IF_ERROR(ReadObject(object, path, "memory", part));
  if (part != nullptr) {
    RETURN_IF_ERROR(ReadLimit<int64_t>(*part, path + "memory.", "limit",
                                       resources.memory_limit));
  }
  RETURN_IF_ERROR(ReadObject(object, path, "pids", part));
  if (part != nullptr) {
    RETURN_IF_ERROR(ReadLimit<int64_t>(*part, path + "pids.", "limit",
                                       resources.pids_limit));
  }
  RETURN_IF_ERROR(ReadObject(object, path, "cpu", part));
  if (part == nullptr) return absl::OkStatus();
  const std::string cpu = path + "cpu.";
  RETURN_IF_ERROR(
      ReadLimit<uint64_t>(*part, cpu, "shares", resources.cpu_shares));
  RETURN_IF_ERROR(ReadLimit<int64_t>(*part, cpu, "quota", resources.cpu_quota));
  RETURN_IF_ERROR(
      ReadLimit<uint64_t>(*part, cpu, "period", resources.cpu_period));
  RETURN_IF_ERROR(ReadString(*part, cpu, "cpus", resources.cpus));
  return ReadString(*part, cpu, "mems", resources.mems);
}

absl::Status ReadResources(const Json& linux_part, Resources& resources) {
  const Json* object = nullptr;
  RETURN_IF_ERROR(ReadObject(linux_part, "linux.", "resources", object));
  if (object == nullptr) return absl::OkStatus();
  return ReadResourceMembers(*object, "linux.resources.", resources);
}

absl::Status ReadNamespaces(const Json& linux_part, RuntimeSpec& spec) {
  bool found = false;
  return ReadArray(linux_part, "linux.", "namespaces", [&](const Json& entry) {
    const std::string path = "linux.namespaces[].";
    std::string type;
    RETURN_IF_ERROR(ReadString(entry, path, "type", type));
    if (type != "network") return absl::OkStatus();
    if (std::exchange(found, true)) {
      return Bad("linux.namespaces", "has a network twice");
    }
    RETURN_IF_ERROR(ReadString(entry, path, "path", spec.network_namespace));
    spec.new_network_namespace = spec.network_namespace.empty();
    return absl::OkStatus();
  });
}

// Whether the last of the cgroup's device rules that speaks of `device` lets it
// be written. No rules: it may.
absl::StatusOr<bool> MayWrite(const Json& linux_part,
                              const BlockDevice& device) {
  const Json* resources = nullptr;
  RETURN_IF_ERROR(ReadObject(linux_part, "linux.", "resources", resources));
  bool writable = true;
  if (resources == nullptr) return writable;
  const auto read = [&](const Json& rule) {
    const std::string path = "linux.resources.devices[].";
    bool allow = false;
    std::string type = "a";
    std::string access = "rwm";
    std::optional<int64_t> major;
    std::optional<int64_t> minor;
    RETURN_IF_ERROR(ReadBool(rule, path, "allow", allow));
    RETURN_IF_ERROR(ReadString(rule, path, "type", type));
    RETURN_IF_ERROR(ReadString(rule, path, "access", access));
    RETURN_IF_ERROR(ReadInteger<int64_t>(rule, path, "major", major));
    RETURN_IF_ERROR(ReadInteger<int64_t>(rule, path, "minor", minor));
    // Absent, or below zero: any.
    const bool speaks_of_it =
        (type == "a" || type == "b") &&
        (major.value_or(-1) < 0 || *major == device.major) &&
        (minor.value_or(-1) < 0 || *minor == device.minor) &&
        access.find('w') != std::string::npos;
    if (speaks_of_it) writable = allow;
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ReadArray(*resources, "linux.resources.", "devices", read));
  return writable;
}

absl::Status ReadBlockDevices(const Json& linux_part,
                              std::vector<BlockDevice>& devices) {
  return ReadArray(linux_part, "linux.", "devices", [&](const Json& entry) {
    const std::string path = "linux.devices[].";
    std::string type;
    RETURN_IF_ERROR(ReadString(entry, path, "type", type));
    if (type != "b") return absl::OkStatus();
    BlockDevice device;
    RETURN_IF_ERROR(ReadString(entry, path, "path", device.path));
    RETURN_IF_ERROR(ReadInteger<uint32_t>(entry, path, "major", device.major));
    RETURN_IF_ERROR(ReadInteger<uint32_t>(entry, path, "minor", device.minor));
    if (device.major > kMaxMajor || device.minor > kMaxMinor) {
      return Bad("linux.devices[]", "has a number that is out of range");
    }
    if (devices.size() == kMaxBlockDevices) {
      return Bad("linux.devices", "has too many block devices");
    }
    ASSIGN_OR_RETURN(const bool writable, MayWrite(linux_part, device));
    device.read_only = !writable;
    devices.push_back(std::move(device));
    return absl::OkStatus();
  });
}

// The last of "ro" and "rw" holds, as for mount(8).
absl::StatusOr<BindMount> ReadMountOptions(const Json& entry, bool& is_bind) {
  BindMount mount;
  const Json* options = Member(entry, "options");
  if (options == nullptr) return mount;
  if (!options->is_array()) return Bad("mounts[].options", "is not an array");
  for (const Json& option : *options) {
    if (!option.is_string()) {
      return Bad("mounts[].options", "has what is no string");
    }
    const auto& text = option.get_ref<const std::string&>();
    if (text == "bind" || text == "rbind") is_bind = true;
    if (text == "ro" || text == "rw") mount.read_only = text == "ro";
  }
  return mount;
}

absl::Status ReadMounts(const Json& document, std::vector<BindMount>& mounts) {
  return ReadArray(document, "", "mounts", [&](const Json& entry) {
    std::string type;
    RETURN_IF_ERROR(ReadString(entry, "mounts[].", "type", type));
    bool is_bind = type == "bind";
    ASSIGN_OR_RETURN(BindMount mount, ReadMountOptions(entry, is_bind));
    if (!is_bind) return absl::OkStatus();
    RETURN_IF_ERROR(
        ReadString(entry, "mounts[].", "destination", mount.destination));
    RETURN_IF_ERROR(ReadString(entry, "mounts[].", "source", mount.source));
    mounts.push_back(std::move(mount));
    return absl::OkStatus();
  });
}

absl::Status ReadLinux(const Json& document, RuntimeSpec& spec) {
  const Json* object = nullptr;
  RETURN_IF_ERROR(ReadObject(document, "", "linux", object));
  if (object == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(
      ReadString(*object, "linux.", "cgroupsPath", spec.cgroups_path));
  RETURN_IF_ERROR(ReadResources(*object, spec.resources));
  RETURN_IF_ERROR(ReadNamespaces(*object, spec));
  return ReadBlockDevices(*object, spec.block_devices);
}

absl::Status ReadAnnotations(const Json& document, RuntimeSpec& spec) {
  const Json* object = nullptr;
  RETURN_IF_ERROR(ReadObject(document, "", "annotations", object));
  spec.complete = object != nullptr && object->contains(kDevicesAnnotation);
  if (object == nullptr) return absl::OkStatus();
  if (object->contains(kContainerTypeAnnotation)) {
    for (const char* key :
         {kDevicesAnnotation, kMemoryAnnotation, kArgumentsAnnotation}) {
      if (object->contains(key)) {
        return Bad(absl::StrCat("annotation ", key), "is not a pod's to give");
      }
    }
  }
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
      ASSIGN_OR_RETURN(spec.devices, ParseGuestDevices(text),
                       kDevicesAnnotation);
    } else if (key == kArgumentsAnnotation) {
      if (text != "raw") return Bad(kArgumentsAnnotation, "is not \"raw\"");
      spec.raw_args = true;
    } else {
      spec.annotations[key] = text;
    }
  }
  return absl::OkStatus();
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
  RETURN_IF_ERROR(ReadMounts(*document, spec.mounts));
  RETURN_IF_ERROR(ReadAnnotations(*document, spec));
  if (spec.complete && spec.unikernel_path().empty()) {
    return Bad("process.args", "names no unikernel");
  }
  return spec;
}

absl::StatusOr<Resources> ParseResources(absl::string_view json) {
  if (json.size() > kMaxRuntimeSpecBytes) {
    return Bad("the resources' JSON", "is too long");
  }
  const std::optional<Json> document = ParseJson(json);
  if (!document || !document->is_object()) {
    return Bad("the resources' JSON", "is not an object");
  }
  Resources resources;
  RETURN_IF_ERROR(ReadResourceMembers(*document, "", resources));
  return resources;
}

}  // namespace serai::oci
