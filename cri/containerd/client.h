// SPDX-License-Identifier: Apache-2.0
#pragma once

// What seraid asks of containerd's own services (not of its CRI): names of
// images, blobs, and views of unpacked images, in the namespace of containerd's
// CRI plugin. What containerd answers is bounded and checked.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/digest.h"

namespace serai::cri {

// As containerd gives a mount.
struct ViewMount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;
};

// A name of an image, and the index or manifest that it leads to.
struct ImageName {
  std::string name;
  oci::Digest target;
};

// Any method from any thread; each returns within kCallTimeout. UNAVAILABLE and
// DEADLINE_EXCEEDED, with the socket's path, when containerd does not answer.
class ContainerdClient {
 public:
  virtual ~ContainerdClient() = default;

  // NOT_FOUND when there is no such name.
  virtual absl::StatusOr<ImageName> GetName(const std::string& name) = 0;
  // The names that pass a filter in containerd's language.
  virtual absl::StatusOr<std::vector<ImageName>> ListNames(
      const std::string& filter) = 0;
  // A blob of oci::kMaxDocumentBytes at most, whose digest is what it should
  // be: DATA_LOSS otherwise.
  virtual absl::StatusOr<std::string> ReadBlob(const oci::Digest& digest) = 0;
  // Makes a read-only view `key` of the snapshot `parent`, which its labels
  // keep from containerd's garbage collection. NOT_FOUND without such a parent.
  virtual absl::StatusOr<std::vector<ViewMount>> MakeView(
      const std::string& snapshotter, const std::string& key,
      const std::string& parent,
      const std::map<std::string, std::string>& labels) = 0;
  // NOT_FOUND when it is not there.
  virtual absl::Status RemoveSnapshot(const std::string& snapshotter,
                                      const std::string& key) = 0;
};

// The real one. Connects when it is first used, and again by itself.
std::unique_ptr<ContainerdClient> NewContainerdClient(
    const std::string& socket);

}  // namespace serai::cri
