// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace serai::cri {

// The kernel's name for this boot (random(4)); empty where it has none.
const std::string& BootId();

}  // namespace serai::cri
