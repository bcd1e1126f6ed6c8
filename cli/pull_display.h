// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "proto/control/control.pb.h"

namespace serai::cli {

// Shows how far a pull is: on a terminal a line for each layer, written over
// again and again; elsewhere a plain line now and then. One thread.
class PullDisplay {
 public:
  PullDisplay(std::ostream& out, bool terminal)
      : out_(out), terminal_(terminal) {}

  void Show(const control::v1::PullProgress& progress);

 private:
  void ShowLines(const control::v1::PullProgress& progress);
  void ShowNow(const control::v1::PullProgress& progress);

  std::ostream& out_;
  const bool terminal_;
  size_t lines_ = 0;  // on the terminal, to be written over
  std::string said_;
  absl::Time said_at_ = absl::InfinitePast();
};

}  // namespace serai::cli
