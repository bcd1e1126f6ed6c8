// SPDX-License-Identifier: Apache-2.0
#pragma once

// The undo stack of a creation sequence: after each step that made something,
// push how to unmake it; Commit() at the commit point. Without a commit the
// destructor runs the undos backwards, each one whatever the others said.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace serai {

class Rollback {
 public:
  using Undo = std::function<absl::Status()>;
  // Told of each undo that fails: (description, error). Called in the
  // destructor, on the thread that destroys.
  using OnFailure =
      std::function<void(const std::string& what, const absl::Status& error)>;

  explicit Rollback(OnFailure on_failure)
      : on_failure_(std::move(on_failure)) {}
  ~Rollback();
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;

  void Add(std::string what, Undo undo) {
    undos_.emplace_back(std::move(what), std::move(undo));
  }
  // What was made stays.
  void Commit() { undos_.clear(); }

 private:
  OnFailure on_failure_;
  std::vector<std::pair<std::string, Undo>> undos_;
};

}  // namespace serai
