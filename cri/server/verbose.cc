// SPDX-License-Identifier: Apache-2.0
#include "cri/server/verbose.h"

#include <google/protobuf/util/json_util.h>

#include <memory>
#include <utility>

#include "cri/state/networks.h"
#include "lib/base/file.h"
#include "lib/base/version.h"
#include "lib/guest/node_targets.h"
#include "lib/oci/runtime_spec.h"
#include "nlohmann/json.hpp"

namespace serai::cri {
namespace {

using nlohmann::json;

constexpr absl::Duration kPatience = absl::Seconds(2);

// A path in an image, or a pod's annotation, need not be UTF-8.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// As JSON, or why not.
json Parsed(const absl::StatusOr<std::string>& text) {
  if (!text.ok()) return std::string(text.status().message());
  json value = json::parse(*text, nullptr, false);
  return value.is_discarded() ? json(*text) : value;
}

json MessageJson(const google::protobuf::Message& message) {
  std::string text;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &text);
  return status.ok() ? Parsed(text) : json(status.ToString());
}

json DeviceJson(const DeviceUse& use) {
  const char* const received = use.is_net ? "received" : "reads";
  const char* const sent = use.is_net ? "sent" : "writes";
  return {{"name", use.name},
          {"type", use.is_net ? "net" : "block"},
          {received, use.received},
          {std::string(received) + "Bytes", use.received_bytes},
          {sent, use.sent},
          {std::string(sent) + "Bytes", use.sent_bytes},
          {"failed", use.failed}};
}

json DevicesJson(const std::string& container, Shim& shim) {
  const auto devices = shim.Devices(container, kPatience);
  if (!devices.ok()) return std::string(devices.status().message());
  json all = json::array();
  for (const DeviceUse& use : *devices) all.push_back(DeviceJson(use));
  return all;
}

// What only the shim knows of a task.
void AddTask(const std::string& container, Shim& shim, json& out) {
  const auto task = shim.Epilogue(container, kPatience);
  if (!task.ok()) {
    out["shimError"] = std::string(task.status().message());
    return;
  }
  out["pid"] = task->pid;
  out["ending"] = task->ending;
  out["logLinesDropped"] = task->log_lines_dropped;
  out["devices"] = DevicesJson(container, shim);
}

json InterfaceInfo(const state::v1::PodNetwork& network) {
  json addresses = json::array();
  for (const auto& address : network.addresses()) {
    addresses.push_back({{"address", address.address()},
                         {"prefixLength", address.prefix_length()},
                         {"gateway", address.gateway()}});
  }
  return {{"name", network.interface()},
          {"tap", network.tap()},
          {"tapOnNode", network.tap_on_node()},
          {"mac", network.mac()},
          {"mtu", network.mtu()},
          {"addresses", std::move(addresses)}};
}

}  // namespace

std::string ConfigInfo(const Config& config) {
  json handlers = json::object();
  for (const auto& [name, handler] : config.handlers) {
    handlers[name] = {{"defaultMemory", handler.default_memory},
                      {"overheadMemory", handler.overhead_memory}};
  }
  // Those without secrets: where credentials are kept, not what they are.
  return Dump({{"root", config.root},
               {"state", config.state},
               {"socket", config.cri.socket},
               {"handlers", std::move(handlers)},
               {"cni",
                {{"confDir", config.cni.conf_dir},
                 {"binDirs", config.cni.bin_dirs},
                 {"timeout", absl::FormatDuration(config.cni.timeout)}}},
               {"registryConfigPath", config.registry.config_path},
               {"passthroughSocket", config.passthrough.socket},
               {"metricsAddress", config.metrics.address},
               {"cgroupParent", config.cgroup.parent}});
}

std::string NodeInfo(const ShimOptions& programs,
                     const host::CgroupHierarchy& cgroups, const Store& store) {
  const guest::NodeTargets node = guest::ProbeNode();
  size_t ready = 0;
  const auto pods = store.Pods();
  for (const auto& pod : pods) ready += IsReady(*pod, *pod->record.Read());
  size_t running = 0;
  const auto containers = store.Containers();
  for (const auto& container : containers) {
    running += PhaseOf(*container->record.Read()) == ContainerPhase::kRunning;
  }
  return Dump({{"version", kVersion},
               {"hvt", node.hvt ? "available" : node.hvt_reason},
               {"spt", node.spt ? "available" : node.spt_reason},
               {"shim", programs.program},
               {"tender", programs.tender},
               {"cgroup", cgroups.is_v2() ? "v2" : "v1"},
               {"cgroupControllers", cgroups.Controllers()},
               {"pods", pods.size()},
               {"podsReady", ready},
               {"containers", containers.size()},
               {"containersRunning", running}});
}

std::string NetworkInfo(const cni::Client& network) {
  const auto current = network.Current();
  if (!current.ok()) {
    return Dump({{"error", std::string(current.status().message())}});
  }
  return Dump({{"file", current->file},
               {"name", current->name},
               {"version", current->version},
               {"plugins", current->plugins}});
}

std::string PodInfo(const Pod& pod, const Store& store) {
  const PodRecord record = pod.record.Get();
  json interfaces = json::array();
  for (const state::v1::PodNetwork& network : NetworksOf(record)) {
    interfaces.push_back(InterfaceInfo(network));
  }
  json containers = json::array();
  for (const auto& container : store.ContainersOf(pod.id)) {
    containers.push_back(container->id);
  }
  json info = {{"runtimeHandler", record.handler()},
               {"netns", record.netns_path()},
               {"interfaces", std::move(interfaces)},
               {"cgroup", record.cgroup()},
               {"shimAddress", record.shim_address()},
               {"containers", std::move(containers)},
               {"config", MessageJson(record.config())}};
  if (const std::shared_ptr<Shim> shim = pod.shim(); shim != nullptr) {
    const auto pid = shim->Pid(kPatience);
    // The pod's process, such as it is.
    info["pid"] = pid.value_or(0);
    if (!pid.ok()) info["shimError"] = std::string(pid.status().message());
  }
  return Dump(info);
}

std::string ContainerInfo(const ContainerRecord& record, Shim* shim) {
  json info = {
      {"sandboxID", record.pod_id()}, {"unikernel", record.unikernel()},
      {"target", record.target()},    {"bundle", record.bundle()},
      {"cgroup", record.cgroup()},    {"config", MessageJson(record.config())}};
  const auto text = ReadFile(JoinPath(record.bundle(), "config.json"),
                             oci::kMaxRuntimeSpecBytes);
  info["runtimeSpec"] = Parsed(text);
  const auto spec = text.ok() ? oci::ParseRuntimeSpec(*text)
                              : absl::StatusOr<oci::RuntimeSpec>(text.status());
  if (spec.ok()) {
    info["guestMemory"] = spec->guest_memory.value_or(0);
    info["args"] = spec->args;
  }
  if (shim != nullptr && PhaseOf(record) == ContainerPhase::kRunning) {
    AddTask(record.id(), *shim, info);
  }
  return Dump(info);
}

}  // namespace serai::cri
