// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/unique_fd.h"
#include "tests/vm/cases.h"

namespace serai::testing {

// What a case has beside the machine's disk and tap. Children inherit it.
class CaseDevices {
 public:
  explicit CaseDevices(const VmCase& vm_case);
  ~CaseDevices();
  CaseDevices(const CaseDevices&) = delete;
  CaseDevices& operator=(const CaseDevices&) = delete;

  // The tender's options for them, if the case does not name them itself.
  void AddOptions(std::vector<std::string>& options) const;
  // Whether the disk has still its size.
  bool AreWhole() const;

 private:
  void Chatter() const;

  UniqueFd disk_;
  UniqueFd tap_;
  UniqueFd wire_;  // the tap's other end
  std::atomic<bool> done_ = false;
  std::thread chatter_;
};

}  // namespace serai::testing
