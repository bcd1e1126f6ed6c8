// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/gdb_program.h"

#include "gtest/gtest.h"
#include "lib/base/subprocess.h"

namespace serai::testing {

std::string RunGdb(const std::string& program, const std::string& core,
                   const std::vector<std::string>& commands) {
  SubprocessSpec spec;
  spec.program = "/usr/bin/gdb";
  spec.env = {"PATH=/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C"};
  spec.args = {"-nx", "-batch", "-ex", "set width 0", "-ex", "set confirm off"};
  for (const std::string& command : commands) {
    spec.args.push_back("-ex");
    spec.args.push_back(command);
  }
  spec.args.push_back(program);
  if (!core.empty()) spec.args.push_back(core);
  const auto result = RunSubprocess(spec);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  return result->output + result->error_output;
}

}  // namespace serai::testing
