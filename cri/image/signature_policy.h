// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which images must be signed, and by whom (lib/oci/signature.h). Asked when an
// image is pulled; an image that is here already, or is loaded by root from a
// file, is not asked about.

#include <string>
#include <vector>

#include "cri/image/store.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/reference.h"
#include "lib/oci/registry/client.h"
#include "lib/oci/signature.h"

namespace serai::cri {

struct SignaturePolicy {
  // Patterns (pattern.h) of repositories' names: "registry.example/prod/*".
  // They mean other spellings (oci::CanonicalName()) of a name too. None:
  // nothing need be signed.
  std::vector<std::string> images;
  // Files with a public key each; a signature by any of them is enough. Read
  // anew at each pull, so that a key can be changed without a restart.
  std::vector<std::string> keys;
};

// OK where the policy does not name the image's repository; an error that
// IsSignatureInvalid() where the manifest `digest`, which is what the registry
// says the reference is, has no signature by one of the keys, or a key can't be
// read; RegistryClient's where a signature could not be fetched, and no other
// was good. What is fetched into `layout` stays until `lease` ends.
absl::Status CheckSignature(const SignaturePolicy& policy,
                            const oci::Reference& reference,
                            const oci::Digest& digest, ImageStore::Lease& lease,
                            const oci::Layout& layout,
                            oci::RegistryClient& client);

// Whether a failed pull means that the policy does not let the image in, which
// kubelet words differently ("SignatureValidationFailed").
bool IsSignatureInvalid(const absl::Status& status);

}  // namespace serai::cri
