// SPDX-License-Identifier: Apache-2.0
#pragma once

// A tender with an spt guest, and what the tests of it look at.

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {

inline constexpr int kForbidden = 128 + SIGSYS;
inline constexpr int kFault = 128 + SIGSEGV;

// Of the guest that is `args[0]` with the others for it.
TenderSpec SpecOf(std::vector<std::string> args);

// A tender with a status descriptor. Its JSON lines are read at the end.
class Reported {
 public:
  explicit Reported(TenderSpec spec);

  TenderProcess& tender() { return *tender_; }
  std::string StatusLines();

 private:
  UniqueFd reader_;
  std::optional<TenderProcess> tender_;
};

struct Mapping {
  uint64_t start = 0;
  uint64_t end = 0;
  std::string access;
  std::string name;
};

std::vector<Mapping> MappingsOf(pid_t pid);

// Where the stub is, seen from outside; 0 where there's none.
uint64_t StubOf(pid_t pid);

}  // namespace serai::testing
