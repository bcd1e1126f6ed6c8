// SPDX-License-Identifier: Apache-2.0
#pragma once

// The program `serai`, as a function.

#include <iosfwd>
#include <string>
#include <vector>

namespace serai::cli {

// Runs one command line (without the program's name). Data goes to `out`;
// errors to `err`, one line each, starting with "serai: ". Returns the exit
// code: 0, 1 for a failure, 2 for a command line that can't be understood, or
// with `run --rm` the container's. `err_is_terminal`: what is under way may be
// drawn there.
int RunCli(std::vector<std::string> args, std::istream& in, std::ostream& out,
           std::ostream& err, bool err_is_terminal = false);

}  // namespace serai::cli
