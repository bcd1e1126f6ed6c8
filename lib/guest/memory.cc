// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/memory.h"

namespace serai::guest {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// What hvt maps at a time; spt is given the same, so that a pod has as much
// whatever it runs as.
constexpr uint64_t kStep = 2 << 20;

uint64_t RoundUp(uint64_t bytes) { return (bytes + kStep - 1) / kStep * kStep; }

}  // namespace

absl::StatusOr<uint64_t> GuestMemory(int64_t wanted, absl::string_view what,
                                     const solo5::Unikernel& unikernel) {
  const auto memory = static_cast<uint64_t>(wanted) / kStep * kStep;
  const std::string said = absl::StrCat(what, " of ", wanted, " bytes");
  const uint64_t needed = RoundUp(unikernel.lowest_memory);
  if (memory < needed) {
    return absl::InvalidArgumentError(
        absl::StrCat(said, " is below what the unikernel needs to be loaded: ",
                     needed / kMiB, "Mi, and more for its heap"));
  }
  if (unikernel.target == solo5::Target::kHvt &&
      memory > solo5::kHvtMaxMemory) {
    return absl::InvalidArgumentError(
        absl::StrCat(said, " is above what an hvt unikernel can have: ",
                     solo5::kHvtMaxMemory / kMiB, "Mi"));
  }
  return memory;
}

}  // namespace serai::guest
