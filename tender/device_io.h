// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an hvt guest's devices do for it, counted. The caller has checked that
// the memory is the guest's; the guest may change it meanwhile. Nothing that
// the host refuses ends a guest. Any thread may pass frames, also one without
// errno; blocks are the guest's own thread's.

#include <cstddef>
#include <cstdint>

#include "lib/solo5/abi.h"
#include "tender/counters.h"
#include "tender/devices.h"

namespace serai::tender {

// A frame that the host does not take is lost, as any network may lose one.
solo5::Result SendFrame(const Device& device, const uint8_t* data, size_t size,
                        DeviceCounters* counters);

// The next frame; its length goes to *size, which is the room for it. kAgain
// where there is none, kError where there will be none any more.
solo5::Result ReceiveFrame(const Device& device, uint8_t* data, uint64_t* size,
                           DeviceCounters* counters);

// All `size` bytes at `offset`, or kError; kInvalid beyond the device's end.
// What a write that failed has left there is not known.
solo5::Result ReadBlocks(const Device& device, uint64_t offset, uint8_t* data,
                         uint64_t size, DeviceCounters* counters);
solo5::Result WriteBlocks(const Device& device, uint64_t offset,
                          const uint8_t* data, uint64_t size,
                          DeviceCounters* counters);

}  // namespace serai::tender
