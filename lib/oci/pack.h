// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes an OCI image of one or several Solo5 unikernels.
//
// One layer holds /app.<target> for each; the entrypoint is the first file
// given. The labels and the manifest's annotations name every unikernel:
// `dev.serai.unikernel` the first, `dev.serai.unikernel.<target>` each one.
// The layer is a plain tar: compressors differ between versions, and the digest
// must depend on the input alone.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"

namespace serai::oci {

inline constexpr char kAnnotationUnikernel[] = "dev.serai.unikernel";

struct PackOptions {
  std::vector<std::string> args;  // the image's CMD: the guest's arguments
  int64_t created = 0;            // seconds since 1970; see CreationTime()
};

// SOURCE_DATE_EPOCH where it is set, else 0. INVALID_ARGUMENT when it is no
// number.
absl::StatusOr<int64_t> CreationTime();

// Stores the image of `files` (paths on this machine) in `layout`, and returns
// the descriptor of its manifest; give it a name with Layout::AddManifest().
// INVALID_ARGUMENT for no file, for a file that is not a Solo5 unikernel of a
// target that runs here, with the reader's reason, and for two files of one
// target, naming both.
absl::StatusOr<Descriptor> Pack(const std::vector<std::string>& files,
                                const PackOptions& options,
                                const Layout& layout);

}  // namespace serai::oci
