// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace serai::guest {

// Gives the processor this guest's own descriptor tables, task state and
// exception handlers, with the instructions any Solo5 guest uses for it: lgdt,
// lretq, mov to ss, ds and es, ltr, lidt, wrmsr.
void InitializeProcessor();

void SetFsBase(uint64_t base);

}  // namespace serai::guest
