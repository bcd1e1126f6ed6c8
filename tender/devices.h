// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's devices: what its manifest declares, matched with what the
// command line attaches. After AttachDevices() the manifest is as the guest is
// to see it.

#include <array>
#include <cstdint>

#include "lib/solo5/abi.h"
#include "tender/options.h"

namespace serai::tender {

struct Device {
  enum class Kind { kNone, kNet, kBlock };

  Kind kind = Kind::kNone;
  int fd = -1;
  bool read_only = false;   // kBlock
  uint16_t block_size = 0;  // kBlock
  uint64_t capacity = 0;    // kBlock: bytes
};

// Indexed by handle, which is the entry's index in the manifest.
using DeviceTable = std::array<Device, solo5::kMaxManifestEntries>;

// Opens what `options` name by a path or an interface's name; they then hold
// its descriptor. For a process that will find no file any more. Ends the
// process with a message where that fails.
void OpenDevices(Options* options);

// Opens what `options` name, fills `manifest` and returns the table. Ends the
// process with a message where an option names no device, a device cannot be
// opened, or one stays without.
DeviceTable AttachDevices(const Options& options, solo5::Manifest* manifest);

// An epoll instance in which every network device of `devices` is registered
// for input, with its handle as the event's data.
int CreateEventPoll(const DeviceTable& devices);

}  // namespace serai::tender
