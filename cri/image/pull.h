// SPDX-License-Identifier: Apache-2.0
#pragma once

// Brings an image from its registry into the store: reference → index → the
// manifest for this machine → config → the layers that are missing → Put().

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/image/image.h"
#include "cri/image/store.h"
#include "lib/base/status.h"
#include "lib/oci/reference.h"
#include "lib/oci/registry/client.h"

namespace serai::cri {

struct PullOptions {
  oci::RegistryOptions registry;
  // Largest sum of an image's config and (compressed) layers.
  int64_t max_image_bytes = int64_t{2} << 30;
};

// Whether a failed pull means that the registry could not be reached or did not
// work, which kubelet words differently ("RegistryUnavailable").
bool IsRegistryUnavailable(const absl::Status& status);

// Any method from any thread. Pulls at the same time fetch each blob once: the
// others wait for it.
class Puller {
 public:
  // The store must outlive this.
  Puller(ImageStore* store, PullOptions options)
      : store_(*store), options_(std::move(options)) {}

  // Returns when the image is in the store. `cancelled` as in
  // oci::HttpSession, may be empty. The errors are RegistryClient's, and
  //   FAILED_PRECONDITION  no image for this machine; lists what there is
  //   INVALID_ARGUMENT     not a container image, or a broken one
  //   RESOURCE_EXHAUSTED   larger than the options allow; the disk is full
  // and ImageStore::Put's. After a failure nothing stays behind.
  absl::StatusOr<Image> Pull(const oci::Reference& reference,
                             const oci::Credentials& credentials,
                             oci::Cancelled cancelled);

 private:
  absl::StatusOr<Image> Transfer(const oci::Reference& reference,
                                 oci::RegistryClient& client,
                                 const oci::Cancelled& cancelled);
  absl::StatusOr<oci::FetchedManifest> ManifestForThisMachine(
      const oci::FetchedManifest& top, oci::RegistryClient& client) const;
  absl::Status CheckManifest(const oci::Manifest& manifest) const;
  absl::Status CheckConfig(const oci::Manifest& manifest) const;
  absl::Status FetchBlob(const oci::Descriptor& blob,
                         oci::RegistryClient& client,
                         const oci::Cancelled& cancelled);
  absl::Status BeginFetch(const oci::Digest& digest,
                          const oci::Cancelled& cancelled);
  void EndFetch(const oci::Digest& digest);

  ImageStore& store_;
  const PullOptions options_;
  absl::Mutex mutex_;
  absl::CondVar fetched_;
  std::set<oci::Digest> fetching_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
