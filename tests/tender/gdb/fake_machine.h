// SPDX-License-Identifier: Apache-2.0
#pragma once

// Both ends of a debugger's session without a debugger and without a machine.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tender/gdb/session.h"

namespace serai::testing {

// Memory of a few bytes from kStart on.
class FakeTarget final : public tender::gdb::Target {
 public:
  static constexpr uint64_t kStart = 0x1000;

  void ReadRegisters(tender::gdb::Registers* registers) override {
    *registers = registers_;
  }
  bool WriteRegisters(const tender::gdb::Registers& registers) override {
    registers_ = registers;
    return true;
  }
  bool ReadMemory(uint64_t address, std::span<uint8_t> to) override {
    if (!Has(address, to.size())) return false;
    std::copy_n(memory_.begin() + Index(address), to.size(), to.begin());
    return true;
  }
  bool WriteMemory(uint64_t address, std::span<const uint8_t> from) override {
    if (!Has(address, from.size())) return false;
    std::copy(from.begin(), from.end(), memory_.begin() + Index(address));
    return true;
  }
  tender::gdb::Answer Insert(tender::gdb::Point point, uint64_t address,
                             uint64_t size) override {
    if (point == tender::gdb::Point::kRead) {
      return tender::gdb::Answer::kUnsupported;
    }
    if (!Has(address, 1)) return tender::gdb::Answer::kFailed;
    points_[{point, address}] = size;
    return tender::gdb::Answer::kDone;
  }
  tender::gdb::Answer Remove(tender::gdb::Point point, uint64_t address,
                             uint64_t /*size*/) override {
    points_.erase({point, address});
    return tender::gdb::Answer::kDone;
  }

  tender::gdb::Registers& registers() { return registers_; }
  std::vector<uint8_t>& memory() { return memory_; }
  const std::map<std::pair<tender::gdb::Point, uint64_t>, uint64_t>& points()
      const {
    return points_;
  }

 private:
  static std::ptrdiff_t Index(uint64_t address) {
    return static_cast<std::ptrdiff_t>(address - kStart);
  }
  bool Has(uint64_t address, uint64_t size) const {
    return address >= kStart && address - kStart <= memory_.size() &&
           size <= memory_.size() - (address - kStart);
  }

  tender::gdb::Registers registers_ = {};
  std::vector<uint8_t> memory_ = std::vector<uint8_t>(64);
  std::map<std::pair<tender::gdb::Point, uint64_t>, uint64_t> points_;
};

// Gives what it was made of, in small pieces, and then ends.
class FakeStream final : public tender::gdb::Stream {
 public:
  explicit FakeStream(std::string input) : input_(std::move(input)) {}

  ssize_t Read(std::span<uint8_t> to, bool wait) override {
    constexpr size_t kPiece = 7;
    if (!wait && input_.empty()) return -1;
    const size_t size = std::min({to.size(), kPiece, input_.size()});
    std::memcpy(to.data(), input_.data(), size);
    input_.erase(0, size);
    return static_cast<ssize_t>(size);
  }
  bool Write(std::string_view bytes) override {
    output_.append(bytes);
    return true;
  }

  void Add(std::string_view bytes) { input_.append(bytes); }
  // What was written since the last call.
  std::string TakeOutput() { return std::exchange(output_, ""); }

 private:
  std::string input_;
  std::string output_;
};

}  // namespace serai::testing
