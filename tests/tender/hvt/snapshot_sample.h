// SPDX-License-Identifier: Apache-2.0
#pragma once

// The machine file of a snapshot in which nothing is wrong.

#include <cstring>

#include "tender/hvt/snapshot_format.h"

namespace serai::testing {

inline tender::hvt::SnapshotState SampleSnapshot() {
  using tender::hvt::SnapshotSegment;
  tender::hvt::SnapshotState state = {};
  state.magic = tender::hvt::kSnapshotMagic;
  state.version = tender::hvt::kSnapshotVersion;
  state.size = sizeof(state);
  state.id = {1, 2};
  state.level = 3;
  state.tsc_khz = 2'600'000;
  state.tsc = 1'000'000;
  state.memory = 4 << 20;
  state.segment_count = 2;
  state.segments[0] = {{0x100000, 0x3000}, SnapshotSegment::kExecutable, 0};
  state.segments[1] = {{0x103000, 0x1000},
                       SnapshotSegment::kReadable | SnapshotSegment::kWritable,
                       0};
  state.extent_count = 2;
  state.extents[0] = {0x10000, 0x1000};
  state.extents[1] = {0x100000, 0x4000};
  state.processor.regs.rip = 0x101234;
  state.processor.regs.rflags = 0x3202;
  state.processor.xcr0 = 1;
  state.manifest.version = solo5::kManifestVersion;
  state.manifest.entry_count = 3;
  solo5::ManifestEntry* const entries = state.manifest.entries;
  entries[0].type = solo5::DeviceType::kReservedFirst;
  std::strcpy(entries[1].name, "service");
  entries[1].type = solo5::DeviceType::kNet;
  entries[1].net.mtu = 1500;
  entries[1].attached = 1;
  std::strcpy(entries[2].name, "storage");
  entries[2].type = solo5::DeviceType::kBlock;
  entries[2].block.capacity = 1 << 20;
  entries[2].block.block_size = 512;
  entries[2].attached = 1;
  state.checksum = tender::hvt::Checksum(state);
  return state;
}

}  // namespace serai::testing
