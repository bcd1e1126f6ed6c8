// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the streaming server needs of the node. Called on the server's thread.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::cri::streaming {

// A piece of a console, as serai.shim.v1.AttachResponse has it.
struct ConsolePiece {
  std::string data;
  uint64_t next_offset = 0;
  uint64_t lost = 0;   // bytes before `data` that are not kept any more
  bool ended = false;  // the guest has ended, and this is the last
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Where the pod is reached from the host's network namespace, IPv4 first. For
  // each connection anew: another pod may have the address meanwhile.
  virtual absl::StatusOr<std::vector<std::string>> PodAddresses(
      const std::string& pod) = 0;

  // As long as it is held, ReadConsole gives all of the console's end also when
  // the container has ended.
  virtual std::shared_ptr<const void> WatchConsole(
      const std::string& container) = 0;

  // Calls `done` once, on any thread, with what the console said after
  // `offset`: when there is something, at the end, or with nothing after a
  // while. Offset 0 is the last lines that are kept. Does not block.
  virtual void ReadConsole(
      const std::string& container, uint64_t offset,
      std::function<void(absl::StatusOr<ConsolePiece>)> done) = 0;
};

}  // namespace serai::cri::streaming
