// SPDX-License-Identifier: Apache-2.0
// The first and only program of the virtual machine: runs all cases and tells
// the test outside what came of each.

#include <unistd.h>

#include <cstdio>

#include "tests/vm/cases.h"
#include "tests/vm/init/guest.h"
#include "tests/vm/init/machine.h"
#include "tests/vm/result.h"

int main() {
  using namespace serai::testing;
  if (::getpid() != 1) {
    std::fputs("this is the first program of a virtual machine\n", stderr);
    return 1;
  }
  SetUpMachine();
  const std::vector<VmCase> cases = AllCases();
  for (size_t i = 0; i < cases.size(); ++i) {
    Tell("start " + std::to_string(i) + "\n");
    CaseResult result = RunCase(cases[i]);
    result.index = i;
    Tell(ToLine(result));
  }
  Tell("done\n");
  PowerOff();
}
