// SPDX-License-Identifier: Apache-2.0
// The platform on hvt, and the entry point.

#include "tests/guests/runtime/platform.h"

#include "tests/guests/runtime/hvt/cpu.h"
#include "tests/guests/runtime/hvt/hypercall.h"
#include "tests/guests/runtime/hvt/ring.h"
#include "tests/guests/runtime/start.h"

namespace serai::guest {
namespace {

[[gnu::section(".interp"), gnu::used]] constexpr char kInterpreter[24] =
    "/nonexistent/solo5/";
[[gnu::section(".note.solo5.abi"), gnu::used]] constexpr AbiNote kAbiNote = {
    .target = kTargetHvt};
[[gnu::section(".note.solo5.openbsd"),
  gnu::used]] constexpr OpenBsdNote kOpenBsdNote;

__extension__ using uint128_t = unsigned __int128;

// Nanoseconds per cycle of the time stamp counter, times 2^32.
uint64_t cycle_length;

struct BlockArguments {
  uint64_t handle;
  uint64_t offset;
  uint64_t data;
  uint64_t size;
  int32_t result;
};
struct NetArguments {
  uint64_t handle;
  uint64_t data;
  uint64_t size;
  int32_t result;
};

uint64_t Address(const void* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

}  // namespace

std::string_view TargetName() { return "hvt"; }

void WriteConsole(std::string_view text) {
  struct {
    uint64_t data;
    uint64_t size;
  } arguments = {Address(text.data()), text.size()};
  Call(Hypercall::kPuts, &arguments);
}

void Halt(int status, const void* cookie) {
  struct {
    uint64_t cookie;
    int32_t status;
  } arguments = {Address(cookie), status};
  while (true) Call(Hypercall::kHalt, &arguments);
}

void Exit(int status) { Halt(status, nullptr); }

uint64_t MonotonicTime() {
  const uint64_t cycles = __builtin_ia32_rdtsc();
  return static_cast<uint64_t>(uint128_t{cycles} * cycle_length >> 32);
}

uint64_t WallTime() {
  uint64_t nanoseconds = 0;
  Call(Hypercall::kWallTime, &nanoseconds);
  return nanoseconds;
}

uint64_t Poll(uint64_t timeout) {
  struct {
    uint64_t timeout;
    uint64_t ready;
    int32_t result;
  } arguments = {timeout, 0, 0};
  Call(Hypercall::kPoll, &arguments);
  return arguments.ready;
}

IoResult NetRead(const Device& device, std::byte* data, size_t& size) {
  if (NetRing() != nullptr) return RingRead(device.handle, data, size);
  NetArguments arguments = {device.handle, Address(data), size, 0};
  Call(Hypercall::kNetRead, &arguments);
  size = arguments.size;
  return static_cast<IoResult>(arguments.result);
}

IoResult NetWrite(const Device& device, const std::byte* data, size_t size) {
  if (RingWrite(device.handle, data, size)) return IoResult::kOk;
  NetArguments arguments = {device.handle, Address(data), size, 0};
  Call(Hypercall::kNetWrite, &arguments);
  return static_cast<IoResult>(arguments.result);
}

IoResult BlockRead(const Device& device, uint64_t offset, std::byte* data,
                   size_t size) {
  BlockArguments arguments = {device.handle, offset, Address(data), size, 0};
  Call(Hypercall::kBlockRead, &arguments);
  return static_cast<IoResult>(arguments.result);
}

IoResult BlockWrite(const Device& device, uint64_t offset,
                    const std::byte* data, size_t size) {
  BlockArguments arguments = {device.handle, offset, Address(data), size, 0};
  Call(Hypercall::kBlockWrite, &arguments);
  return static_cast<IoResult>(arguments.result);
}

}  // namespace serai::guest

extern "C" [[noreturn]] void _start(const serai::guest::HvtBootInfo* boot_info);

void _start(const serai::guest::HvtBootInfo* boot_info) {
  using namespace serai::guest;
  SetFsBase(PrepareThreadLocals());
  InitializeProcessor();
  UseRing(*boot_info);
  cycle_length = (kSecond << 32) / boot_info->cycles_per_second;
  SetMachine(boot_info->memory_size, boot_info->command_line,
             boot_info->manifest);
  Run();
}
