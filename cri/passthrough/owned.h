// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is ours on this node, as the configuration and the store say.

#include "cri/config/config.h"
#include "cri/passthrough/routes.h"
#include "cri/state/store.h"

namespace serai::cri {

class Owned final : public Ours {
 public:
  // Both must outlive the object.
  Owned(const Config& config, const Store& store)
      : config_(config), store_(store) {}

  bool HasHandler(absl::string_view handler) const override;
  // A beginning of several ids of ours is ours as well: to be refused.
  bool HasPod(absl::string_view id) const override;
  bool HasContainer(absl::string_view id) const override;
  bool IsPod(absl::string_view id) const override;
  bool IsContainer(absl::string_view id) const override;

 private:
  const Config& config_;
  const Store& store_;
};

}  // namespace serai::cri
