// SPDX-License-Identifier: Apache-2.0
#include "shim/log.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/file.h"

namespace serai::shim {

void LogWarning(absl::string_view message) {
  const std::string line =
      absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(),
                                    absl::UTCTimeZone()),
                   " warning: ", message, "\n");
  // Where this can't be written, there is nowhere to say so.
  WriteAll(STDERR_FILENO, line).IgnoreError();
}

}  // namespace serai::shim
