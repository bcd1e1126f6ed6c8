// SPDX-License-Identifier: Apache-2.0
#pragma once

// The machine as a guest sees it, the same for hvt (hypercalls) and spt
// (system calls). A guest is one thread; times are nanoseconds.
//
// A guest defines Main(); what it returns is the exit status.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tests/guests/runtime/abi.h"

namespace serai::guest {

int Main();

// Exit statuses with a meaning, those of MirageOS.
inline constexpr int kExitHelp = 63;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitAbort = 255;

inline constexpr uint64_t kSecond = 1'000'000'000;
inline constexpr uint64_t kMillisecond = 1'000'000;

enum class IoResult { kOk = 0, kAgain = 1, kInvalid = 2, kUnspecified = 3 };
std::string_view Name(IoResult result);

struct Device {
  uint32_t handle = 0;
  int host_fd = -1;  // spt only
  // Net.
  uint8_t mac[6] = {};
  uint16_t mtu = 0;
  // Block, bytes.
  uint64_t capacity = 0;
  uint16_t block_size = 0;
};

// "hvt" or "spt".
std::string_view TargetName();
// Bytes of guest memory.
uint64_t MemorySize();
// As the tender handed it over, at most 8191 characters.
std::string_view CommandLine();
// What is neither program nor stack.
std::span<std::byte> Heap();

// The device of that name and type; exits with kExitAbort when the manifest
// has none, which a tender that starts the guest rules out.
Device FindDevice(std::string_view name, DeviceType type);

void WriteConsole(std::string_view text);
[[noreturn]] void Exit(int status);

uint64_t MonotonicTime();
uint64_t WallTime();

// Sleeps until a net device has a frame or `timeout` is over. The result has
// bit n set when the device with handle n is ready.
uint64_t Poll(uint64_t timeout);

// `size` in: room in `data`; out: length of the frame.
IoResult NetRead(const Device& device, std::byte* data, size_t& size);
IoResult NetWrite(const Device& device, const std::byte* data, size_t size);
// `size` is the device's block size, `offset` a multiple of it.
IoResult BlockRead(const Device& device, uint64_t offset, std::byte* data,
                   size_t size);
IoResult BlockWrite(const Device& device, uint64_t offset,
                    const std::byte* data, size_t size);

// The registers at an exception, in the order traps.S saves them.
struct TrapFrame {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
  uint64_t vector, error;
  uint64_t rip, cs, rflags, rsp, ss;
};

// Has `handler` called at every exception; when it returns true the guest goes
// on at frame.rip. False where guests have no exceptions of their own (spt).
using TrapHandler = bool (*)(TrapFrame& frame);
bool SetTrapHandler(TrapHandler handler);

}  // namespace serai::guest
