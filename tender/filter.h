// SPDX-License-Identifier: Apache-2.0
#pragma once

// The seccomp filter of this process: a compiled policy (policy/rule.h) with
// the numbers that are known now.

#include <linux/filter.h>

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tender/devices.h"
#include "tender/policy/compile.h"

namespace serai::tender {

// What a policy leaves open.
class Bindings {
 public:
  // `devices` is borrowed. For a process without: no device.
  explicit Bindings(const DeviceTable& devices) : devices_(&devices) {}
  Bindings() = default;

  Bindings& Set(policy::Slot slot, uint64_t number);
  // For descriptors and process ids, which are not negative by now.
  Bindings& Set(policy::Slot slot, int number) {
    return Set(slot, static_cast<uint64_t>(number));
  }
  // `situation`, which is no device's, has arisen.
  Bindings& Have(policy::Situation situation);

 private:
  friend class Filter;

  static constexpr size_t kSlots = static_cast<size_t>(policy::Slot::kCount);
  static constexpr size_t kSituations =
      static_cast<size_t>(policy::Situation::kCount);

  const DeviceTable* devices_ = nullptr;
  std::array<uint64_t, kSlots> numbers_ = {};
  std::bitset<kSlots> is_set_;
  std::bitset<kSituations> arisen_;
};

class Filter {
 public:
  // Ends the process where `bindings` lacks a number that a wanted rule needs,
  // or the program becomes too long for the kernel.
  Filter(const policy::Program& program, const Bindings& bindings);

  std::span<const sock_filter> Code() const { return {code_.data(), size_}; }

  // Applies it to all threads of this process, for ever. Ends the process when
  // the kernel does not take it.
  void Install() const;

 private:
  void AddFragment(const policy::Program& program,
                   const policy::Fragment& fragment);
  void AddForEach(const policy::Program& program,
                  const policy::Fragment& fragment);
  void Append(std::span<const sock_filter> code);

  Bindings bindings_;
  size_t size_ = 0;
  // As long as the kernel takes them. A guest with the most devices has about
  // 1,600 instructions.
  std::array<sock_filter, BPF_MAXINSNS> code_;
};

}  // namespace serai::tender
