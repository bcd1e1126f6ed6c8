// SPDX-License-Identifier: Apache-2.0
// serai-tap, a CNI plugin (https://www.cni.dev/docs/spec/, 0.3.0 to 1.1.0) that
// gives a unikernel's pod its tap: see docs/serai-tap.md.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/tap_plugin/commands.h"
#include "lib/base/file.h"

namespace serai::tap_plugin {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<std::string> Answer(std::string& version) {
  ASSIGN_OR_RETURN(const Environment environment, ReadEnvironment(Variable));
  const absl::StatusOr<std::string> input =
      ReadAll(STDIN_FILENO, cni::kMaxJsonBytes);
  if (!input.ok()) {
    return CniError(ErrorCode::kIoFailure,
                    absl::StrCat("stdin: ", input.status().message()));
  }
  const absl::StatusOr<std::string> told = ReadVersion(*input);
  if (told.ok() && cni::IsSupportedVersion(*told)) version = *told;
  return Run(environment, *input);
}

std::string ErrorObject(const absl::Status& status,
                        const std::string& version) {
  return cni::Dump({{"cniVersion", version},
                    {"code", static_cast<int>(CodeOf(status))},
                    {"msg", std::string(status.message())}});
}

int Main() {
  ::signal(SIGPIPE, SIG_IGN);
  std::string version = cni::SupportedVersions()[0];
  const absl::StatusOr<std::string> answer = Answer(version);
  const std::string text =
      answer.ok() ? *answer : ErrorObject(answer.status(), version);
  const absl::Status printed = WriteAll(STDOUT_FILENO, text);
  return answer.ok() && printed.ok() ? 0 : 1;
}

}  // namespace
}  // namespace serai::tap_plugin

int main() { return serai::tap_plugin::Main(); }
