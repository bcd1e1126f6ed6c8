// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/base/status.h"

namespace serai::cri::streaming {

// A Kubernetes metav1.Status in JSON, as the error stream of version 4 ends
// with.
std::string StatusJson(const absl::Status& status);

}  // namespace serai::cri::streaming
