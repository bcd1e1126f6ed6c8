// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs a helper program to its end: CNI plugins, the shim's start command, the
// unpacker.
// posix_spawn, so no code of ours runs between fork and exec in a program with
// threads. Any thread.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai {

struct SubprocessSpec {
  std::string program;            // a path; PATH is not searched
  std::vector<std::string> args;  // without argv[0], which is `program`
  std::vector<std::string> env;   // "KEY=value"; the whole environment
  std::string input;              // given on stdin, then end of file
  std::string directory;          // working directory; empty: the caller's
  absl::Duration timeout = absl::Seconds(60);
  size_t max_output = 1 << 20;  // bytes of stdout, and of stderr, each
  // Borrowed; the program has them as 3, 4, … in this order, and so has whom it
  // starts: such as a lock that is to be held for as long as they run.
  std::vector<int> descriptors;
  // Asked ten times a second on the calling thread; true ends the program. May
  // be empty.
  std::function<bool()> cancelled;
};

struct SubprocessResult {
  int exit_code = 0;  // 128 + n when signal n ended it
  std::string output;
  std::string error_output;
};

// NOT_FOUND or PERMISSION_DENIED when it can't be started; DEADLINE_EXCEEDED
// when it was killed (its whole process group) for taking longer than the
// timeout; CANCELLED when it was killed because `cancelled` said so;
// OUT_OF_RANGE when it was killed for printing too much. A non-zero exit
// is a result, not an error. The program is reaped in every case.
// Output is read until the program has ended and what it wrote is drained; a
// descendant that keeps stdout open does not hold the call up.
absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessSpec& spec);

}  // namespace serai
