// SPDX-License-Identifier: Apache-2.0
// The machine file of a snapshot, as an attacker would write it: the sample
// with pieces of the input in it (16 bits of offset, 8 of length, then the
// bytes), and a checksum that holds.
#include <algorithm>
#include <cstring>

#include "tender/hvt/snapshot_format.h"
#include "tests/fuzz/check.h"
#include "tests/tender/hvt/snapshot_sample.h"

namespace {

using namespace serai::tender::hvt;  // NOLINT(google-build-using-namespace)

void Change(const uint8_t* data, size_t size, SnapshotState* state) {
  auto* const bytes = reinterpret_cast<uint8_t*>(state);
  while (size >= 3) {
    const size_t at = (data[0] + size_t{256} * data[1]) % sizeof(*state);
    const size_t length =
        std::min({size_t{data[2]}, size - 3, sizeof(*state) - at});
    std::memcpy(bytes + at, data + 3, length);
    data += 3 + length;
    size -= 3 + length;
  }
}

// What those rely on who build a machine of it.
void CheckAccepted(const SnapshotState& state) {
  FUZZ_CHECK(state.memory % serai::solo5::kHvtLargePage == 0);
  FUZZ_CHECK(state.memory <= serai::solo5::kHvtMaxMemory);
  uint64_t end = serai::solo5::kMinLoadAddress;
  FUZZ_CHECK(state.segment_count <= serai::solo5::kMaxSegments);
  for (uint32_t i = 0; i < state.segment_count; ++i) {
    const SnapshotSegment& segment = state.segments[i];
    FUZZ_CHECK(segment.range.address >= end);
    FUZZ_CHECK(segment.range.address % serai::solo5::kPageSize == 0);
    FUZZ_CHECK((segment.access & 6) != 6);
    end = segment.range.End();
    FUZZ_CHECK(end > segment.range.address && end <= state.memory);
  }
  end = 0;
  FUZZ_CHECK(state.extent_count <= kMaxExtents);
  for (const SnapshotRange& extent : state.Extents()) {
    FUZZ_CHECK(extent.address >= end);
    end = extent.End();
    FUZZ_CHECK(end > extent.address && end <= state.memory);
  }
  FUZZ_CHECK(state.manifest.entry_count >= 1);
  FUZZ_CHECK(state.manifest.entry_count <= serai::solo5::kMaxManifestEntries);
  for (uint32_t i = 1; i < state.manifest.entry_count; ++i) {
    const serai::solo5::ManifestEntry& entry = state.manifest.entries[i];
    FUZZ_CHECK(strnlen(entry.name, sizeof(entry.name)) < sizeof(entry.name));
  }
  FUZZ_CHECK(state.level == 0 || state.processor.regs.rip >> 47 == 0);
  FUZZ_CHECK(state.level == 3 || (state.processor.sregs.efer & 0x1000) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static SnapshotState state;
  serai::solo5::Error error;
  // First the input as it is, which hardly ever has the right checksum …
  state = {};
  if (size > 0) std::memcpy(&state, data, std::min(size, sizeof(state)));
  if (CheckSnapshot(state, size, &error)) {
    CheckAccepted(state);
  } else {
    FUZZ_CHECK(error.message[0] != '\0');
  }
  // … then what would pass but for what it changes.
  state = serai::testing::SampleSnapshot();
  Change(data, size, &state);
  state.checksum = Checksum(state);
  if (CheckSnapshot(state, sizeof(state), &error)) CheckAccepted(state);
  return 0;
}
