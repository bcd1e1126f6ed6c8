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

namespace serai::oci {

// Our annotations. The first may also stand on an image; the others are written
// by who makes the bundle.
inline constexpr char kUnikernelAnnotation[] = "dev.serai.unikernel";
inline constexpr char kMemoryAnnotation[] = "dev.serai.memory";
inline constexpr char kDevicesAnnotation[] = "dev.serai.devices";

// No config.json is longer.
inline constexpr size_t kMaxRuntimeSpecBytes = 4 << 20;

// What is attached to the device of that name in the guest's manifest.
struct GuestDevice {
  enum class Type { kNet, kBlock };

  std::string name;
  Type type = Type::kNet;

  // kNet: a persistent tap in the pod's network namespace, and what the guest
  // is told of it.
  std::string tap;
  std::string mac;   // aa:bb:cc:dd:ee:ff
  uint32_t mtu = 0;  // 0: the tender's default

  // kBlock: a file or block device of the host, absolute.
  std::string path;
  bool read_only = false;

  bool operator==(const GuestDevice&) const = default;
};

// linux.resources. What is absent is not limited.
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
  std::optional<int> oom_score_adj;
  std::string hostname;
  // linux.namespaces' network path; empty: the caller's own namespace.
  std::string network_namespace;
  // linux.cgroupsPath; empty: no cgroup of its own.
  std::string cgroups_path;
  Resources resources;

  // Our annotations, parsed. ToJson writes them back as annotations.
  std::string unikernel;                 // empty: args[0]
  std::optional<uint64_t> guest_memory;  // bytes
  std::vector<GuestDevice> devices;
  // All other annotations.
  std::map<std::string, std::string> annotations;

  // The path of the unikernel inside the root.
  const std::string& unikernel_path() const {
    return unikernel.empty() ? args.front() : unikernel;
  }

  bool operator==(const RuntimeSpec&) const = default;
};

// INVALID_ARGUMENT, naming the member, when `json` is not JSON, is nested
// deeper than 64 levels or longer than kMaxRuntimeSpecBytes, or when a member
// that is used has the wrong type or a value that can't be (no root, no args
// and no unikernel named, a device without a name, …). Members it has no use
// for are ignored.
absl::StatusOr<RuntimeSpec> ParseRuntimeSpec(absl::string_view json);

// A config.json that ParseRuntimeSpec reads back as an equal value.
std::string ToJson(const RuntimeSpec& spec);

}  // namespace serai::oci
