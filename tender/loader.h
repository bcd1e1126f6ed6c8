// SPDX-License-Identifier: Apache-2.0
#pragma once

// Puts a unikernel's segments into guest memory.

#include <cstdint>

#include "lib/solo5/unikernel.h"

namespace serai::tender {

// What the host may do with a segment's memory (PROT_*).
using ProtectionOf = int (*)(const solo5::Segment& segment);

// Loads the segments of `unikernel`, read from `fd`, into fresh zeroed private
// memory at `base`, where guest address 0 stands. Where file and memory agree
// within a page, pages are mapped and not read: they then belong to the page
// cache and all guests of one file share them. Ends the process on an error.
void LoadSegments(int fd, const solo5::Unikernel& unikernel, uint8_t* base,
                  ProtectionOf protection);

}  // namespace serai::tender
