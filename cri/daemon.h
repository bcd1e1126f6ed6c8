// SPDX-License-Identifier: Apache-2.0
#pragma once

// The daemon's object graph, and its life: recover, serve, stop. main() and
// tests make one of it.

#include <memory>
#include <string>

#include "cri/config/config.h"
#include "lib/base/status.h"

namespace serai::cri {

class Daemon {
 public:
  // Makes the directories, recovers, and serves on the configured socket when
  // it returns. FAILED_PRECONDITION when another daemon has the root or the
  // socket.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(Config config);

  // Whether it answers: asks itself for its version through its own socket, and
  // goes through its pods. May block for good where a lock is stuck.
  absl::Status CheckAlive() const;

  // Stops serving; calls under way are given a moment to end. Pods go on.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Puts the places of the programs that `config` does not name into it: beside
// this program, in ../bin or ../libexec/serai as seen from it. The first, also
// when none exists.
void ResolvePrograms(Config& config);

}  // namespace serai::cri
