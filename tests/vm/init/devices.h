// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lib/base/unique_fd.h"

namespace serai::testing {

// What a case with devices has: a net device that carries nothing and a block
// device of 1 MiB. Children inherit them.
class CaseDevices {
 public:
  explicit CaseDevices(bool wanted);

  // The tender's options for them, if there are any.
  void AddOptions(std::vector<std::string>& options) const;
  // Whether the disk has still its size.
  bool AreWhole() const;

 private:
  UniqueFd disk_;
  UniqueFd tap_;
  UniqueFd wire_;
};

}  // namespace serai::testing
