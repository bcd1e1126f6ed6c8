// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes an OCI image of one or several Solo5 unikernels.
//
// One layer holds /app.<target> for each; the entrypoint is the first file
// given. The labels and the manifest's annotations name every unikernel:
// `dev.serai.unikernel` the first, `dev.serai.unikernel.<target>` each one; and
// what its block devices are (lib/guest/block_devices.h): the layer's file
// /<device>.img by `dev.serai.block.<device>`, the volume that the guest wants
// by `dev.serai.volume.<device>`.
// The layer is a plain tar: compressors differ between versions, and the digest
// must depend on the input alone.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"

namespace serai::oci {

inline constexpr char kAnnotationUnikernel[] = "dev.serai.unikernel";
inline constexpr char kAnnotationBlock[] = "dev.serai.block.";
inline constexpr char kAnnotationVolume[] = "dev.serai.volume.";

struct PackOptions {
  std::vector<std::string> args;  // the image's CMD: the guest's arguments
  int64_t created = 0;            // seconds since 1970; see CreationTime()
  // By block device: a raw image on this machine; a few words for who writes
  // the pod.
  std::map<std::string, std::string> blocks = {};
  std::map<std::string, std::string> volumes = {};
};

// SOURCE_DATE_EPOCH where it is set, else 0. INVALID_ARGUMENT when it is no
// number.
absl::StatusOr<int64_t> CreationTime();

// Stores the image of `files` (paths on this machine) in `layout`, and returns
// the descriptor of its manifest; give it a name with Layout::AddManifest().
// INVALID_ARGUMENT for no file, for a file that is not a Solo5 unikernel of a
// target that runs here, with the reader's reason, and for two files of one
// target, naming both; for a device that is not a block device of each of
// them, and for a raw image that is no whole number of sectors.
absl::StatusOr<Descriptor> Pack(const std::vector<std::string>& files,
                                const PackOptions& options,
                                const Layout& layout);

}  // namespace serai::oci
