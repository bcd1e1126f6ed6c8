// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an hvt guest has done so far: plain numbers, read while they change, at
// worst a little old. Those of the devices may be added to by any thread, the
// others by the guest's only.

#include <array>
#include <atomic>
#include <cstdint>

#include "lib/solo5/abi.h"
#include "tender/line.h"

namespace serai::tender {

struct DeviceCounters {
  uint64_t reads = 0;
  uint64_t bytes_read = 0;
  uint64_t writes = 0;
  uint64_t bytes_written = 0;
  uint64_t refused = 0;  // by the host: frames dropped, block I/O failed
};

// Adds to a counter of a device.
inline void Count(uint64_t* counter, uint64_t more) {
  std::atomic_ref<uint64_t>(*counter).fetch_add(more,
                                                std::memory_order_relaxed);
}

struct Counters {
  static constexpr size_t kHypercalls = 9;  // by number; 0 is unused

  uint64_t exits = 0;       // of the virtual machine, of any kind
  uint64_t traps = 0;       // of these, through the level-0 stub
  uint64_t emulated = 0;    // instructions
  uint64_t exceptions = 0;  // given to the guest's handlers
  std::array<uint64_t, kHypercalls> hypercalls = {};
  uint64_t kicks = 0;          // of the network ring
  uint64_t console_bytes = 0;  // that the guest wrote
  uint64_t console_lost = 0;   // of these
  std::array<DeviceCounters, solo5::kMaxManifestEntries> devices = {};
};

// Appends {"stats":{…}} and a newline, with the devices of `manifest`.
void AddCounters(const Counters& counters, const solo5::Manifest& manifest,
                 Line* line);
// Enough for any.
inline constexpr size_t kMaxCountersLine = 24 * 1024;

}  // namespace serai::tender
