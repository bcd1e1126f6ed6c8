// SPDX-License-Identifier: Apache-2.0
// containerd-shim-serai-v2: holds the unikernels of one pod. See start.h.

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "shim/info.h"
#include "shim/options.h"
#include "shim/start.h"

namespace serai::shim {
namespace {

absl::StatusOr<std::string> Run(const std::vector<std::string>& args) {
  ASSIGN_OR_RETURN(const Options options, ParseOptions(args));
  if (options.command == Command::kVersion) return VersionText();
  ASSIGN_OR_RETURN(const Surroundings surroundings, LookAround());
  if (options.command == Command::kDelete) {
    return DeleteLeftovers(options, surroundings);
  }
  ASSIGN_OR_RETURN(const std::string input, ReadInput());
  return options.command == Command::kInfo
             ? RuntimeInfo(input)
             : StartShim(options, surroundings, input);
}

}  // namespace
}  // namespace serai::shim

int main(int argc, char** argv) {
  const absl::StatusOr<std::string> output =
      serai::shim::Run(std::vector<std::string>(argv + 1, argv + argc));
  absl::Status status = output.status();
  if (status.ok()) status = serai::WriteAll(STDOUT_FILENO, *output);
  if (status.ok()) return 0;
  serai::WriteAll(
      STDERR_FILENO,
      absl::StrCat("containerd-shim-serai-v2: ", status.message(), "\n"))
      .IgnoreError();
  return 1;
}
