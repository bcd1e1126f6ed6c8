// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where seraid keeps what. Below `root`: records (cri/state/store.h), the CNI
// client's cache, the image store, and what was made of containers' volumes.
// Below `state`, which is gone at reboot like the kernel's objects that it
// names:
//
//   netns/<pod id>              the pod's network namespace, bind-mounted
//   pods/<pod id>/              working directory of the pod's shim
//   containers/<container id>/  bundle: the OCI config.json
//   shims/                      the shims' sockets
//   local.sock                  with containerd: seraid's own part of the CRI

#include <string>

#include "cri/config/config.h"
#include "lib/base/file.h"

namespace serai::cri {

inline constexpr char kPodInterface[] = "eth0";

inline std::string NetnsDirectory(const Config& config) {
  return JoinPath(config.state, "netns");
}
inline std::string NetnsPath(const Config& config, const std::string& pod) {
  return JoinPath(NetnsDirectory(config), pod);
}
inline std::string ShimsDirectory(const Config& config) {
  return JoinPath(config.state, "pods");
}
inline std::string ShimDirectory(const Config& config, const std::string& pod) {
  return JoinPath(ShimsDirectory(config), pod);
}
inline std::string BundlesDirectory(const Config& config) {
  return JoinPath(config.state, "containers");
}
inline std::string BundleDirectory(const Config& config,
                                   const std::string& container) {
  return JoinPath(BundlesDirectory(config), container);
}
// Below the root: what was made on disk of a container's volumes.
inline std::string VolumesDirectory(const Config& config) {
  return JoinPath(config.root, "volumes");
}
inline std::string VolumesOf(const Config& config,
                             const std::string& container) {
  return JoinPath(VolumesDirectory(config), container);
}
// Below the root: a file for each checkpoint that was restored
// (cri/checkpoint/use.h).
inline std::string RestoredDirectory(const Config& config) {
  return JoinPath(config.root, "restored");
}
inline std::string RestoredPath(const Config& config,
                                const std::string& checkpoint) {
  return JoinPath(RestoredDirectory(config), checkpoint);
}
// Below the root: what unikernels answered (cri/bundle/options_cache.h).
inline std::string OptionsDirectory(const Config& config) {
  return JoinPath(config.root, "options");
}
inline std::string ShimSocketDirectory(const Config& config) {
  return JoinPath(config.state, "shims");
}
inline std::string LocalSocket(const Config& config) {
  return JoinPath(config.state, "local.sock");
}

}  // namespace serai::cri
