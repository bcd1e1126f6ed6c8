// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where containers get their images from: the embedded store, or containerd.

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "cri/image/image.h"
#include "lib/base/status.h"

namespace serai::cri {

// Any method from any thread.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  // The image called `name` (a reference, a "repository@digest", an id or the
  // beginning of one), with an unpacked root that stays readable, whatever
  // becomes of the image's names, until Release(holder). `holder` is a
  // container's id; it holds one image, once. On failure it holds none.
  virtual absl::StatusOr<Image> Acquire(absl::string_view name,
                                        const std::string& holder) = 0;

  // Gives it back. A holder that has none is success.
  virtual absl::Status Release(const std::string& holder) = 0;

  // At a daemon's start, before any Acquire: which holder holds which image id,
  // as the containers' records say. What others held is given back; what can't
  // be right now is tried again later.
  virtual void Restore(const std::map<std::string, std::string>& held) = 0;
};

}  // namespace serai::cri
