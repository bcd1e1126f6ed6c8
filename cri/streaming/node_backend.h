// SPDX-License-Identifier: Apache-2.0
#pragma once

// The node's pods and containers as the streaming server asks for them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/state/store.h"
#include "cri/streaming/backend.h"

namespace serai::cri::streaming {

class NodeBackend final : public Backend {
 public:
  // `store` outlives it.
  explicit NodeBackend(const Store& store) : store_(store) {}

  absl::StatusOr<std::vector<std::string>> PodAddresses(
      const std::string& pod) override;
  std::shared_ptr<const void> WatchConsole(
      const std::string& container) override;
  void ReadConsole(
      const std::string& container, uint64_t offset,
      std::function<void(absl::StatusOr<ConsolePiece>)> done) override;

 private:
  const Store& store_;
};

}  // namespace serai::cri::streaming
