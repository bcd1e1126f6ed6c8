// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kubernetes' quantities: "64Mi", "1.5G", "250m", "1e6"
// (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).

#include <cstdint>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai {

// The quantity in whole units, rounded up: bytes of "64Mi". INVALID_ARGUMENT
// for what is no quantity, is negative, or does not fit.
absl::StatusOr<int64_t> ParseQuantity(absl::string_view text);

// The quantity in thousandths, rounded up: millicores of "0.25" or "250m".
absl::StatusOr<int64_t> ParseMilliQuantity(absl::string_view text);

}  // namespace serai
