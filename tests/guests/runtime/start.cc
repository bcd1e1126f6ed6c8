// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/runtime/start.h"

#include "tests/guests/runtime/console.h"

// The linker scripts' symbols.
extern "C" {
extern char serai_tdata_start[];
extern char serai_tdata_end[];
extern char serai_tls_end[];
extern char serai_program_end[];
}

namespace serai::guest {
namespace {

// What the linker scripts align thread-local storage to.
constexpr uint64_t kTlsAlignment = 64;
constexpr uint64_t kMaxTlsSize = 960;
// What is left to the stack at the end of memory.
constexpr uint64_t kStackSize = 1 << 20;

// The thread's variables end where its control block begins, and the control
// block begins with its own address.
alignas(kTlsAlignment) char tls_area[kMaxTlsSize + kTlsAlignment];

uint64_t memory_size;
std::string_view command_line;
const Manifest* manifest;

uint64_t Address(const char* symbol) {
  return reinterpret_cast<uint64_t>(symbol);
}

template <typename T>
T Load(const uint8_t* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

uint64_t PrepareThreadLocals() {
  const uint64_t size = (Address(serai_tls_end) - Address(serai_tdata_start) +
                         kTlsAlignment - 1) &
                        ~(kTlsAlignment - 1);
  if (size > kMaxTlsSize) __builtin_trap();
  char* const control = tls_area + kMaxTlsSize;
  __builtin_memcpy(control - size, serai_tdata_start,
                   Address(serai_tdata_end) - Address(serai_tdata_start));
  const uint64_t self = Address(control);
  __builtin_memcpy(control, &self, sizeof(self));
  return self;
}

void SetMachine(uint64_t size, uint64_t line, uint64_t manifest_address) {
  memory_size = size;
  command_line = reinterpret_cast<const char*>(line);
  manifest = reinterpret_cast<const Manifest*>(manifest_address);
}

void Run() { Exit(Main()); }

uint64_t MemorySize() { return memory_size; }

std::string_view CommandLine() { return command_line; }

std::span<std::byte> Heap() {
  const uint64_t begin = (Address(serai_program_end) + 4095) & ~uint64_t{4095};
  const uint64_t end = memory_size - kStackSize;
  if (memory_size < kStackSize || end <= begin) return {};
  return {reinterpret_cast<std::byte*>(begin), end - begin};
}

Device FindDevice(std::string_view name, DeviceType type) {
  if (manifest->version == 1 && manifest->entries <= 64) {
    for (uint32_t i = 0; i < manifest->entries; ++i) {
      const ManifestEntry& entry = manifest->entry[i];
      if (!entry.attached || entry.type != type || name != entry.name) continue;
      Device device;
      device.handle = i;
      device.host_fd = static_cast<int>(entry.host_fd);
      if (type == kNetDevice) {
        __builtin_memcpy(device.mac, entry.properties, sizeof(device.mac));
        device.mtu = Load<uint16_t>(entry.properties + 6);
      } else {
        device.capacity = Load<uint64_t>(entry.properties);
        device.block_size = Load<uint16_t>(entry.properties + 8);
      }
      return device;
    }
  }
  Print("the tender attached no device '", name, "'");
  Exit(kExitAbort);
}

std::string_view Name(IoResult result) {
  switch (result) {
    case IoResult::kOk:
      return "ok";
    case IoResult::kAgain:
      return "again";
    case IoResult::kInvalid:
      return "invalid argument";
    case IoResult::kUnspecified:
      return "unspecified error";
  }
  return "unknown result";
}

}  // namespace serai::guest
