// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <initializer_list>
#include <span>

namespace serai::testing {

// What the kernel would answer: runs `program` on `data` as it does. Aborts the
// test run where the kernel would have refused to load the program.
uint32_t EvaluateFilter(std::span<const sock_filter> program,
                        const seccomp_data& data);

// The same for a system call of x86_64 with these arguments.
uint32_t EvaluateSystemCall(std::span<const sock_filter> program, long number,
                            std::initializer_list<uint64_t> arguments);

}  // namespace serai::testing
