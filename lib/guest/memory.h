// SPDX-License-Identifier: Apache-2.0
#pragma once

// How much memory a guest has. A container's memory limit is its guest's size,
// in whole 2 MiB; what the tender and the kernel need beside it comes on top,
// as the container's cgroup limit. Pure functions, any thread.

#include <cstdint>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/solo5/unikernel.h"

namespace serai::guest {

// A quantity ("128Mi"): the guest's size where its container has no limit, or
// less than that.
inline constexpr char kPodAnnotationMemory[] = "serai.dev/memory";

// Of a guest whose container has no memory limit; bytes.
inline constexpr int64_t kDefaultMemory = 64 << 20;
// What a container's cgroup limit is above its guest's size; bytes.
inline constexpr int64_t kOverheadMemory = 32 << 20;

// The guest's size in bytes for `wanted` bytes. INVALID_ARGUMENT, in which
// `what` ("the memory limit") is the subject, when the unikernel does not fit
// in it, or when no guest of its target can have as much.
absl::StatusOr<uint64_t> GuestMemory(int64_t wanted, absl::string_view what,
                                     const solo5::Unikernel& unikernel);

}  // namespace serai::guest
