// SPDX-License-Identifier: Apache-2.0
#pragma once

// Builds a seccomp filter: a list of rules, each a system call with what its
// arguments may be; the first that matches decides, and what matches none
// kills the process. Killing the thread only would not do: KVM keeps a thread
// of its own in the process, and a leader killed beside it is never reaped.

#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace serai::tender {

// A condition on one argument of a system call.
struct Argument {
  enum class Test { kEquals, kAtMost };

  int index;
  Test test;
  uint64_t value;
};

constexpr Argument Equals(int index, uint64_t value) {
  return {index, Argument::Test::kEquals, value};
}
// For descriptors, which are not negative by the time a rule is made.
constexpr Argument EqualsFd(int index, int fd) {
  return Equals(index, static_cast<uint64_t>(fd));
}
constexpr Argument AtMost(int index, uint64_t value) {
  return {index, Argument::Test::kAtMost, value};
}

class Filter {
 public:
  Filter();

  // Lets system call `number` pass where all of `arguments` hold.
  void Allow(long number, std::initializer_list<Argument> arguments);
  // Makes it fail with `error` there, without it being done.
  void Refuse(long number, int error,
              std::initializer_list<Argument> arguments);

  // The whole program, ending in the kill.
  std::span<const sock_filter> Program();
  // Applies it to this process, for ever. Ends the process when the kernel
  // does not take it.
  void Install();

 private:
  // The kernel's own limit (BPF_MAXINSNS). A rule takes at most 17, a guest
  // with the most devices about 2,200.
  static constexpr size_t kMaxProgram = 4096;

  void Add(uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false);
  void AddTest(const Argument& argument, size_t left);
  void AddRule(long number, std::initializer_list<Argument> arguments,
               uint32_t verdict);

  size_t size_ = 0;
  bool ended_ = false;
  std::array<sock_filter, kMaxProgram> program_;
};

}  // namespace serai::tender
