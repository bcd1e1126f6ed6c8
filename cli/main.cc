// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "cli/cli.h"

int main(int argc, char** argv) {
  // A reader that went away (serai logs | head) shows as a failed write.
  std::signal(SIGPIPE, SIG_IGN);
  return serai::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc),
                            std::cin, std::cout, std::cerr,
                            ::isatty(STDERR_FILENO) == 1);
}
