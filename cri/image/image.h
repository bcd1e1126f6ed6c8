// SPDX-License-Identifier: Apache-2.0
#pragma once

// An image of the store, as values: a snapshot that does not change when the
// store does.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/oci/manifest.h"

namespace serai::cri {

struct Image {
  std::string id;                         // "sha256:…", the config's digest
  std::vector<std::string> repo_tags;     // "docker.io/library/web:1", sorted
  std::vector<std::string> repo_digests;  // "docker.io/library/web@sha256:…"
  int64_t size = 0;                       // bytes of manifest, config, layers
  oci::ImageConfig config;
  oci::StringMap annotations;  // the manifest's
  std::string rootfs;          // absolute path of the unpacked tree
  bool pinned = false;         // kubelet's garbage collection passes it over
  // Where there is no such tree: the directories whose overlay it would be, the
  // uppermost first. OpenRoot() in cri/image/root.h does for both.
  std::vector<std::string> layers;
};

}  // namespace serai::cri
