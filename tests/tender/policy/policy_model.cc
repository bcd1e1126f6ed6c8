// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/policy/policy_model.h"

#include <linux/audit.h>

#include <algorithm>
#include <set>

#include "gtest/gtest.h"
#include "tests/tender/bpf_evaluator.h"

namespace serai::testing {
namespace {

constexpr int kLastNumber = 600;
constexpr int kX32 = 0x40000000;
constexpr uint64_t kAnything = 0x1234'5678'9abc'def0;

seccomp_data RightData(int number, const Wanted& wanted) {
  seccomp_data data = {};
  data.nr = number;
  data.arch = AUDIT_ARCH_X86_64;
  data.instruction_pointer = wanted.from != 0 ? wanted.from : kAnything;
  std::fill(std::begin(data.args), std::end(data.args), kAnything);
  data.args[0] &= ~wanted.not_in_first;
  for (const auto& [index, range] : wanted.arguments) {
    data.args[index] = range.highest;
  }
  return data;
}

}  // namespace

uint32_t PolicyModel::Verdict(const seccomp_data& data) const {
  if (data.arch != AUDIT_ARCH_X86_64 || (data.nr & kX32) != 0) {
    return SECCOMP_RET_KILL_PROCESS;
  }
  for (const Wanted& wanted : wanted_) {
    const bool holds =
        wanted.number == data.nr && (data.args[0] & wanted.not_in_first) == 0 &&
        (wanted.from == 0 || wanted.from == data.instruction_pointer) &&
        std::all_of(wanted.arguments.begin(), wanted.arguments.end(),
                    [&](const auto& argument) {
                      const auto& [index, range] = argument;
                      return data.args[index] >= range.lowest &&
                             data.args[index] <= range.highest;
                    });
    if (holds) return wanted.verdict;
  }
  return otherwise_;
}

std::vector<uint64_t> PolicyModel::InterestingValues() const {
  std::set<uint64_t> values = {0, 1, UINT64_MAX, INT32_MAX, kAnything};
  const auto add = [&](uint64_t value) {
    values.insert({value, value + 1, value - 1, ~value,
                   value ^ uint64_t{1} << 32, value ^ uint64_t{1} << 63,
                   value & UINT32_MAX, value >> 32});
  };
  for (const Wanted& wanted : wanted_) {
    for (const auto& [index, range] : wanted.arguments) {
      add(range.lowest);
      add(range.highest);
    }
    add(wanted.from);
    add(wanted.not_in_first);
  }
  return {values.begin(), values.end()};
}

void PolicyModel::ExpectFollowedBy(std::span<const sock_filter> program) const {
  const std::vector<uint64_t> values = InterestingValues();
  int differences = 0;
  const auto compare = [&](const seccomp_data& data) {
    const uint32_t verdict = EvaluateFilter(program, data);
    if (verdict == Verdict(data) || ++differences > 10) return;
    ADD_FAILURE() << "call " << data.nr << " of " << std::hex << data.arch
                  << " (" << data.args[0] << ", " << data.args[1] << ", "
                  << data.args[2] << ", " << data.args[3] << ", "
                  << data.args[4] << ") from " << data.instruction_pointer
                  << ": " << verdict << ", wanted " << Verdict(data);
  };
  for (int number = 0; number <= kLastNumber; ++number) {
    const bool is_wanted =
        std::any_of(wanted_.begin(), wanted_.end(),
                    [&](const Wanted& one) { return one.number == number; });
    for (const Wanted& wanted : wanted_) {
      seccomp_data data = RightData(number, wanted);
      compare(data);
      data.nr |= kX32;
      compare(data);
      data.nr = number;
      data.arch = AUDIT_ARCH_I386;
      compare(data);
      data.arch = AUDIT_ARCH_X86_64;
      if (!is_wanted) continue;
      const auto vary = [&](__u64* word) {
        const __u64 right = *word;
        for (const uint64_t value : values) {
          *word = value;
          compare(data);
        }
        *word = right;
      };
      for (__u64& argument : data.args) vary(&argument);
      vary(&data.instruction_pointer);
    }
  }
}

}  // namespace serai::testing
