// SPDX-License-Identifier: Apache-2.0
#pragma once

// Turns a policy into pieces of a seccomp filter while the program is
// compiled. What is left for the start is to put the wanted pieces in a row and
// the numbers in their places (filter.h).
//
// The filter looks at the system call's number once, by one comparison for
// each call of the policy, in the policy's order. The rules of a call mostly
// begin with a test of the same argument, its descriptor. That is then loaded
// once, and each rule that is not meant costs one comparison: that is what a
// guest with many devices pays.

#include <linux/audit.h>
#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tender/policy/rule.h"

namespace serai::tender::policy {

// Where half of a slot's number goes.
struct Patch {
  uint16_t at;  // in the program's code
  Slot slot;
  bool high;
};

// The code of one rule: wanted as often as its situation arises. It ends with
// a verdict or runs on into what follows.
struct Fragment {
  Situation situation;
  uint16_t code_begin, code_end;
  uint16_t patch_begin, patch_end;
};

// All rules of one system call, after the code that they share.
struct Group {
  uint32_t number;
  uint16_t code_begin, code_end;
  uint16_t fragment_begin, fragment_end;
};

// A compiled policy, of static storage.
struct Program {
  std::span<const sock_filter> head;  // ends with a jump for each group
  std::span<const sock_filter> code;
  std::span<const Patch> patches;
  std::span<const Fragment> fragments;
  std::span<const Group> groups;
  uint32_t otherwise;  // the verdict where no rule holds
};

namespace internal {

// Not constexpr, so that a mistake in a policy names itself as an error of the
// compiler's.
void RuleLacksItsReason();
void RuleLacksItsSystemCall();
void PolicyIsTooLong();

template <typename T, size_t kMax>
struct List {
  T items[kMax] = {};
  size_t size = 0;

  constexpr void Add(const T& item) {
    if (size == kMax) PolicyIsTooLong();
    items[size++] = item;
  }
};

constexpr uint32_t kNumberOffset = offsetof(seccomp_data, nr);
constexpr uint32_t kArchOffset = offsetof(seccomp_data, arch);
constexpr uint32_t kX32Bit = 0x40000000;

constexpr uint32_t LowOffset(Operand operand) {
  if (operand == Operand::kInstructionPointer) {
    return offsetof(seccomp_data, instruction_pointer);
  }
  return static_cast<uint32_t>(offsetof(seccomp_data, args)) +
         static_cast<uint32_t>(operand) * 8;
}

constexpr sock_filter Load(uint32_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, offset};
}
constexpr sock_filter Jump(uint16_t test, uint32_t k, size_t if_true,
                           size_t if_false) {
  return {static_cast<uint16_t>(BPF_JMP | test | BPF_K),
          static_cast<uint8_t>(if_true), static_cast<uint8_t>(if_false), k};
}
constexpr sock_filter Return(uint32_t verdict) {
  return {BPF_RET | BPF_K, 0, 0, verdict};
}

struct Draft {
  List<sock_filter, 128> head;
  List<sock_filter, 1024> code;
  List<Patch, 256> patches;
  List<Fragment, 128> fragments;
  List<Group, 64> groups;
};

class Compiler {
 public:
  constexpr Compiler(std::span<const Rule> rules, uint32_t otherwise)
      : rules_(rules), otherwise_(otherwise) {}

  constexpr Draft Compile() {
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (rules_[i].reason == nullptr) RuleLacksItsReason();
      if (rules_[i].call < 0) RuleLacksItsSystemCall();
      if (!IsKnownBefore(i)) AddGroup(rules_[i].call);
    }
    AddHead();
    return draft_;
  }

 private:
  constexpr bool IsKnownBefore(size_t end) const {
    for (size_t i = 0; i < end; ++i) {
      if (rules_[i].call == rules_[end].call) return true;
    }
    return false;
  }

  // Foreign architectures, then the numbers. A filter's conditional jumps are
  // short, so each leads to a long one.
  constexpr void AddHead() {
    const size_t count = draft_.groups.size;
    // Used for nothing. When a filter is loaded, the kernel tries it with every
    // number there is, as far as it does not look at anything else, to know
    // which calls are always allowed. That takes longer than all the rest of
    // loading it, 40 us, and no call that matters is always allowed.
    draft_.head.Add(Load(LowOffset(kInstructionPointer)));
    draft_.head.Add(Load(kArchOffset));
    draft_.head.Add(Jump(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0));
    draft_.head.Add(Return(kKill));
    draft_.head.Add(Load(kNumberOffset));
    for (size_t i = 0; i < count; ++i) {
      draft_.head.Add(
          Jump(BPF_JEQ, draft_.groups.items[i].number, count + 2, 0));
    }
    draft_.head.Add(Jump(BPF_JGE, kX32Bit, 1, 0));
    draft_.head.Add(Return(otherwise_));
    draft_.head.Add(Return(kKill));
    for (size_t i = 0; i < count; ++i) {
      draft_.head.Add({BPF_JMP | BPF_JA, 0, 0, 0});
    }
  }

  constexpr void AddGroup(int call) {
    Group group = {};
    group.number = static_cast<uint32_t>(call);
    group.code_begin = CodeSize();
    group.fragment_begin = static_cast<uint16_t>(draft_.fragments.size);
    const bool shared = SharesItsFirstTest(call);
    if (shared) {
      // What is compared has 31 bits, so the upper half is zero throughout.
      const uint32_t low = LowOffset(FirstOperand(call));
      draft_.code.Add(Load(low + 4));
      draft_.code.Add(Jump(BPF_JEQ, 0, 1, 0));
      draft_.code.Add(Return(otherwise_));
      draft_.code.Add(Load(low));
    }
    group.code_end = CodeSize();
    for (const Rule& rule : rules_) {
      if (rule.call == call) AddFragment(rule, shared);
    }
    group.fragment_end = static_cast<uint16_t>(draft_.fragments.size);
    draft_.groups.Add(group);
  }

  constexpr Operand FirstOperand(int call) const {
    for (const Rule& rule : rules_) {
      if (rule.call == call) return rule.where[0].operand;
    }
    return Operand::kArgument0;
  }

  constexpr bool SharesItsFirstTest(int call) const {
    const Operand operand = FirstOperand(call);
    for (const Rule& rule : rules_) {
      const Condition& first = rule.where[0];
      const bool small = first.value.is_slot
                             ? IsDescriptor(first.value.slot)
                             : first.value.constant <= INT32_MAX;
      if (rule.call == call && (first.test != Condition::Test::kEquals ||
                                first.operand != operand || !small)) {
        return false;
      }
    }
    return true;
  }

  constexpr void AddFragment(const Rule& rule, bool shared) {
    Fragment fragment = {};
    fragment.situation = rule.situation;
    fragment.code_begin = CodeSize();
    fragment.patch_begin = static_cast<uint16_t>(draft_.patches.size);
    size_t left = 1;  // the verdict
    for (size_t i = shared ? 1 : 0; i < Rule::kMaxConditions; ++i) {
      left += TestSize(rule.where[i]);
    }
    const bool reload = shared && left > 1;
    if (shared) {
      AddCompared(BPF_JEQ, rule.where[0].value, false, 0,
                  left + (reload ? 1 : 0));
    }
    for (size_t i = shared ? 1 : 0; i < Rule::kMaxConditions; ++i) {
      left -= TestSize(rule.where[i]);
      AddTest(rule.where[i], left);
    }
    draft_.code.Add(Return(rule.verdict));
    // The next rule finds what it is to compare.
    if (reload) draft_.code.Add(Load(LowOffset(rule.where[0].operand)));
    fragment.code_end = CodeSize();
    fragment.patch_end = static_cast<uint16_t>(draft_.patches.size);
    draft_.fragments.Add(fragment);
  }

  static constexpr size_t TestSize(const Condition& condition) {
    switch (condition.test) {
      case Condition::Test::kNone:
        return 0;
      case Condition::Test::kEquals:
      case Condition::Test::kHasNoneOf:
        return 4;
      default:
        return 5;
    }
  }

  // `left` instructions of the rule follow the test: where it fails, they are
  // jumped over.
  constexpr void AddTest(const Condition& condition, size_t left) {
    using Test = Condition::Test;
    const Value& value = condition.value;
    const uint32_t low = LowOffset(condition.operand);
    if (condition.test == Test::kNone) return;
    draft_.code.Add(Load(low + 4));
    if (condition.test == Test::kEquals) {
      AddCompared(BPF_JEQ, value, true, 0, left + 2);
    } else if (condition.test == Test::kHasNoneOf) {
      AddCompared(BPF_JSET, value, true, left + 2, 0);
    } else if (condition.test == Test::kAtMost) {
      AddCompared(BPF_JGT, value, true, left + 3, 0);
      AddCompared(BPF_JEQ, value, true, 0, 2);
    } else {
      AddCompared(BPF_JGT, value, true, 3, 0);
      AddCompared(BPF_JEQ, value, true, 0, left + 2);
    }
    draft_.code.Add(Load(low));
    switch (condition.test) {
      case Test::kEquals:
        return AddCompared(BPF_JEQ, value, false, 0, left);
      case Test::kHasNoneOf:
        return AddCompared(BPF_JSET, value, false, left, 0);
      case Test::kAtMost:
        return AddCompared(BPF_JGT, value, false, left, 0);
      default:
        return AddCompared(BPF_JGE, value, false, 0, left);
    }
  }

  constexpr void AddCompared(uint16_t test, const Value& value, bool high,
                             size_t if_true, size_t if_false) {
    uint32_t k = 0;
    if (value.is_slot) {
      draft_.patches.Add({CodeSize(), value.slot, high});
    } else {
      k = static_cast<uint32_t>(high ? value.constant >> 32 : value.constant);
    }
    draft_.code.Add(Jump(test, k, if_true, if_false));
  }

  constexpr uint16_t CodeSize() const {
    return static_cast<uint16_t>(draft_.code.size);
  }

  std::span<const Rule> rules_;
  uint32_t otherwise_;
  Draft draft_;
};

template <size_t kCount, typename T, size_t kMax>
constexpr std::array<T, kCount> Trim(const List<T, kMax>& list) {
  std::array<T, kCount> trimmed = {};
  for (size_t i = 0; i < kCount; ++i) trimmed[i] = list.items[i];
  return trimmed;
}

}  // namespace internal

// The policy `kRules`, an array of static storage; `kOtherwise` is what becomes
// of calls for which no rule holds. Foreign architectures and the x32 ABI are
// always killed.
template <const auto& kRules, uint32_t kOtherwise>
struct Compiled {
 private:
  static constexpr internal::Draft kDraft =
      internal::Compiler(kRules, kOtherwise).Compile();
  static constexpr auto kHead = internal::Trim<kDraft.head.size>(kDraft.head);
  static constexpr auto kCode = internal::Trim<kDraft.code.size>(kDraft.code);
  static constexpr auto kPatches =
      internal::Trim<kDraft.patches.size>(kDraft.patches);
  static constexpr auto kFragments =
      internal::Trim<kDraft.fragments.size>(kDraft.fragments);
  static constexpr auto kGroups =
      internal::Trim<kDraft.groups.size>(kDraft.groups);

 public:
  static constexpr Program kProgram = {kHead,      kCode,   kPatches,
                                       kFragments, kGroups, kOtherwise};
};

}  // namespace serai::tender::policy
