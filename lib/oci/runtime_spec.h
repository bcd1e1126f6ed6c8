// SPDX-License-Identifier: Apache-2.0
#pragma once

// The config.json of a bundle: the part of the OCI runtime specification 1.0
// that a unikernel has a use for, and our own annotations in it. Written by
// seraid or containerd, read by the shim. Pure functions, any thread.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/guest_devices.h"

namespace serai::oci {

// Our annotations. The first may also stand on an image; the others are written
// by who makes the bundle, and by nobody else: what they name is opened.
inline constexpr char kUnikernelAnnotation[] = "dev.serai.unikernel";
inline constexpr char kMemoryAnnotation[] = "dev.serai.memory";
inline constexpr char kDevicesAnnotation[] = "dev.serai.devices";
// "raw": see RuntimeSpec::raw_args.
inline constexpr char kArgumentsAnnotation[] = "dev.serai.arguments";

// containerd's CRI plugin says with these what a container is to its pod. The
// first is "sandbox" or "container".
inline constexpr char kContainerTypeAnnotation[] =
    "io.kubernetes.cri.container-type";
inline constexpr char kSandboxIdAnnotation[] = "io.kubernetes.cri.sandbox-id";

// No config.json is longer.
inline constexpr size_t kMaxRuntimeSpecBytes = 4 << 20;

// A bind mount of `mounts`: a volume, or a file of the pod's.
struct BindMount {
  std::string destination;  // in the container
  std::string source;       // on the host
  bool read_only = false;

  bool operator==(const BindMount&) const = default;
};

// A block device of linux.devices: by its number, for containerd has resolved
// the host's path by then.
struct BlockDevice {
  std::string path;  // in the container
  uint32_t major = 0;
  uint32_t minor = 0;
  bool read_only = false;  // linux.resources.devices does not let it be written

  bool operator==(const BlockDevice&) const = default;
};

// linux.resources. What is absent, or zero, is not limited.
struct Resources {
  std::optional<int64_t> memory_limit;  // bytes
  std::optional<uint64_t> cpu_shares;
  std::optional<int64_t> cpu_quota;    // microseconds per period; -1: none
  std::optional<uint64_t> cpu_period;  // microseconds
  std::string cpus;                    // "0-2,7"; empty: any
  std::string mems;
  std::optional<int64_t> pids_limit;

  bool operator==(const Resources&) const = default;
};

struct RuntimeSpec {
  // root.path; a relative one is relative to the bundle.
  std::string root_path;
  // process.args. args[0] is the unikernel's path inside the root unless
  // `unikernel` names it; the rest are the guest's arguments.
  std::vector<std::string> args;
  std::vector<std::string> env;  // process.env: "KEY=value"
  std::string cwd = "/";         // where a relative args[0] starts
  std::optional<int> oom_score_adj;
  std::string hostname;
  // linux.namespaces' network path; empty: the caller's own namespace, or, when
  // the next is true, one to be made.
  std::string network_namespace;
  bool new_network_namespace = false;
  std::vector<BindMount> mounts;
  std::vector<BlockDevice> block_devices;
  // linux.cgroupsPath; empty: no cgroup of its own.
  std::string cgroups_path;
  Resources resources;

  // Our annotations, parsed. ToJson writes them back as annotations.
  std::string unikernel;                 // empty: args[0]
  std::optional<uint64_t> guest_memory;  // bytes
  std::vector<GuestDevice> devices;
  // The guest's arguments are its command line as it is, joined by spaces, and
  // not to be quoted for MirageOS' parser.
  bool raw_args = false;
  // False: `devices` was not there, so that this is a container's specification
  // and not yet a guest's.
  bool complete = true;
  // All other annotations.
  std::map<std::string, std::string> annotations;

  // The path of the unikernel inside the root; empty when nothing names it.
  std::string unikernel_path() const {
    return unikernel.empty() && !args.empty() ? args.front() : unikernel;
  }
  // Whether this is the sandbox that containerd's CRI plugin makes of a pod.
  bool is_sandbox() const {
    const auto type = annotations.find(kContainerTypeAnnotation);
    return type != annotations.end() && type->second == "sandbox";
  }

  bool operator==(const RuntimeSpec&) const = default;
};

// INVALID_ARGUMENT, naming the member, when `json` is not JSON, is nested
// deeper than 64 levels or longer than kMaxRuntimeSpecBytes, or when a member
// that is used has the wrong type or a value that can't be (no root, a device
// without a name, a complete specification that names no unikernel, …). Members
// it has no use for are ignored. So that a pod can't give itself the host's
// files, kDevicesAnnotation, kMemoryAnnotation and kArgumentsAnnotation beside
// the CRI plugin's kContainerTypeAnnotation are refused.
absl::StatusOr<RuntimeSpec> ParseRuntimeSpec(absl::string_view json);

// linux.resources by itself, as an update brings it. INVALID_ARGUMENT as above.
absl::StatusOr<Resources> ParseResources(absl::string_view json);

// A config.json that ParseRuntimeSpec reads back as an equal value.
std::string ToJson(const RuntimeSpec& spec);

}  // namespace serai::oci
