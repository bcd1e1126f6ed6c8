// SPDX-License-Identifier: Apache-2.0
#pragma once

// containerd as the source of unikernels' images: one store on the node and one
// garbage collector, which are containerd's. A container has a read-only view
// of its image's snapshot (docs/adr/0015-containerd-images.md).

#include <map>
#include <memory>
#include <string>

#include "cri/containerd/client.h"
#include "cri/containerd/views.h"
#include "cri/image/source.h"

namespace serai::cri {

class ContainerdImages final : public ImageSource {
 public:
  // `snapshotter` as containerd's CRI plugin is configured; `views` is the
  // directory of the views' records.
  ContainerdImages(std::unique_ptr<ContainerdClient> client,
                   std::string snapshotter, std::string views);

  // UNAVAILABLE or DEADLINE_EXCEEDED when containerd does not answer;
  // FAILED_PRECONDITION when the snapshotter has not unpacked the image, or
  // gives what can't be read in place. Otherwise as FindImage().
  absl::StatusOr<Image> Acquire(absl::string_view name,
                                const std::string& holder) override;
  // Does not wait for containerd.
  absl::Status Release(const std::string& holder) override;
  void Restore(const std::map<std::string, std::string>& held) override;

 private:
  absl::Status MakeRoot(const std::string& chain_id, const std::string& holder,
                        Image& image);

  const std::unique_ptr<ContainerdClient> client_;
  const std::string snapshotter_;
  Views views_;
};

}  // namespace serai::cri
