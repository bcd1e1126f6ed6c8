// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/memory.h"

namespace serai::guest {
namespace {

constexpr int64_t kMiB = 1 << 20;

}  // namespace

absl::StatusOr<uint64_t> GuestMemory(int64_t wanted, absl::string_view what,
                                     const solo5::Unikernel& unikernel) {
  const auto memory = static_cast<uint64_t>(wanted / kMiB * kMiB);
  const std::string said = absl::StrCat(what, " of ", wanted, " bytes");
  if (memory < unikernel.lowest_memory) {
    return absl::InvalidArgumentError(absl::StrCat(
        said, " is below what the unikernel needs to be loaded: ",
        unikernel.lowest_memory / kMiB, "Mi, and more for its heap"));
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
