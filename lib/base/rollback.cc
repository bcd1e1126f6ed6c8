// SPDX-License-Identifier: Apache-2.0
#include "lib/base/rollback.h"

namespace serai {

Rollback::~Rollback() {
  while (!undos_.empty()) {
    auto [what, undo] = std::move(undos_.back());
    undos_.pop_back();
    const absl::Status status = undo();
    if (!status.ok() && on_failure_) on_failure_(what, status);
  }
}

}  // namespace serai
