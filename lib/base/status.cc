// SPDX-License-Identifier: Apache-2.0
#include "lib/base/status.h"

#include <cerrno>
#include <cstring>

namespace serai {

absl::Status ErrnoStatus(int error, absl::string_view what) {
  if (error == EDQUOT) error = ENOSPC;
  return absl::ErrnoToStatus(error, what);
}

absl::Status Annotate(const absl::Status& status, absl::string_view prefix) {
  if (status.ok()) return status;
  absl::Status result(status.code(),
                      absl::StrCat(prefix, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    result.SetPayload(url, payload);
  });
  return result;
}

absl::Status FirstError(absl::Status first, absl::Status second) {
  return first.ok() ? std::move(second) : std::move(first);
}

}  // namespace serai
