// SPDX-License-Identifier: Apache-2.0
#pragma once

// In the place of tender/report.cc: what would end the tender is thrown.

#include "tender/report.h"

namespace serai::fuzz {

struct GuestEnd {
  tender::End end;
};

}  // namespace serai::fuzz
