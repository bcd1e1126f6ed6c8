// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/oci/guest_devices.h"
#include "lib/oci/json_reader.h"
#include "lib/oci/runtime_spec.h"

namespace serai::oci {
namespace {

constexpr char kOciVersion[] = "1.0.2";

// Only what is set, so that a reader sees what was meant.
template <typename T>
void Put(Json& object, const char* key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}
void Put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
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

// A device that may only be read is one that a rule forbids to write.
void PutBlockDevices(const std::vector<BlockDevice>& devices,
                     Json& linux_part) {
  if (devices.empty()) return;
  Json entries = Json::array();
  Json rules = Json::array();
  for (const BlockDevice& device : devices) {
    entries.push_back({{"path", device.path},
                       {"type", "b"},
                       {"major", device.major},
                       {"minor", device.minor}});
    if (!device.read_only) continue;
    rules.push_back({{"allow", false},
                     {"type", "b"},
                     {"major", device.major},
                     {"minor", device.minor},
                     {"access", "w"}});
  }
  linux_part["devices"] = std::move(entries);
  if (!rules.empty()) linux_part["resources"]["devices"] = std::move(rules);
}

Json MountsJson(const std::vector<BindMount>& mounts) {
  Json array = Json::array();
  for (const BindMount& mount : mounts) {
    array.push_back(
        {{"destination", mount.destination},
         {"type", "bind"},
         {"source", mount.source},
         {"options", Json::array({"rbind", mount.read_only ? "ro" : "rw"})}});
  }
  return array;
}

}  // namespace

std::string ToJson(const RuntimeSpec& spec) {
  Json annotations = spec.annotations;
  Put(annotations, kUnikernelAnnotation, spec.unikernel);
  if (spec.guest_memory) {
    annotations[kMemoryAnnotation] = absl::StrCat(*spec.guest_memory);
  }
  if (spec.raw_args) annotations[kArgumentsAnnotation] = "raw";
  if (spec.complete) {
    annotations[kDevicesAnnotation] = ToJson(spec.devices);
  }
  Json process = {{"args", spec.args}, {"cwd", spec.cwd}};
  if (!spec.env.empty()) process["env"] = spec.env;
  Put(process, "oomScoreAdj", spec.oom_score_adj);
  Json linux_part = {{"resources", ResourcesJson(spec.resources)}};
  Put(linux_part, "cgroupsPath", spec.cgroups_path);
  if (!spec.network_namespace.empty() || spec.new_network_namespace) {
    Json network = {{"type", "network"}};
    Put(network, "path", spec.network_namespace);
    linux_part["namespaces"] = Json::array({std::move(network)});
  }
  PutBlockDevices(spec.block_devices, linux_part);
  Json document = {{"ociVersion", kOciVersion},
                   {"root", {{"path", spec.root_path}}},
                   {"process", std::move(process)},
                   {"linux", std::move(linux_part)}};
  Put(document, "hostname", spec.hostname);
  if (!spec.mounts.empty()) document["mounts"] = MountsJson(spec.mounts);
  if (!annotations.empty()) document["annotations"] = std::move(annotations);
  return Dump(document, 2) + "\n";
}

}  // namespace serai::oci
