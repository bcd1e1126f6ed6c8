// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the readers of this library share; nobody else includes it.

#include <cstddef>
#include <cstdint>

#include "lib/solo5/unikernel.h"

namespace serai::solo5::internal {

// Fills *error; always false, so that a check can end in `return Fail(…)`.
[[gnu::format(printf, 3, 4)]] bool Fail(Error* error, Problem problem,
                                        const char* format, ...);

// A PT_NOTE segment with a note of Solo5's.
struct Note {
  uint32_t type;
  uint32_t descriptor_size;
  uint64_t file_offset;   // of the segment
  uint64_t segment_size;  // within the file
};

// Reads exactly `size` bytes at `offset`.
bool ReadExactly(int fd, uint64_t offset, void* out, size_t size,
                 const char* what, Error* error);

// Reads and checks the manifest that `note` holds.
bool ReadManifest(int fd, const Note& note, Manifest* manifest, Error* error);

}  // namespace serai::solo5::internal
