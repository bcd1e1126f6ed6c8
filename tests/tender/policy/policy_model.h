// SPDX-License-Identifier: Apache-2.0
#pragma once

// A policy said a second time, as a plain list, and the comparison of a filter
// with it over right and wrong arguments of every system call.

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace serai::testing {

// What one argument may be.
struct Range {
  uint64_t lowest;
  uint64_t highest;
};
constexpr Range Only(uint64_t value) { return {value, value}; }
constexpr Range UpTo(uint64_t highest) { return {0, highest}; }

struct Wanted {
  long number;
  std::map<int, Range> arguments = {};  // by index; others may be anything
  uint32_t verdict = SECCOMP_RET_ALLOW;
  uint64_t not_in_first = 0;  // bits that its first argument lacks, all of them
  uint64_t from = 0;          // address of the instruction after it; 0: any
};

class PolicyModel {
 public:
  PolicyModel(std::vector<Wanted> wanted, uint32_t otherwise)
      : wanted_(std::move(wanted)), otherwise_(otherwise) {}

  uint32_t Verdict(const seccomp_data& data) const;

  // Fails the test wherever `program` and this model differ. For each number
  // from 0 to 600, as such, of the x32 ABI and of i386: what is wanted of any
  // call, and that with each argument replaced by its neighbours, by the other
  // numbers that occur, and with bits set in its upper half.
  void ExpectFollowedBy(std::span<const sock_filter> program) const;

 private:
  std::vector<uint64_t> InterestingValues() const;

  std::vector<Wanted> wanted_;
  uint32_t otherwise_;
};

}  // namespace serai::testing
