// SPDX-License-Identifier: Apache-2.0
// The tender and our guests on the KVM of AMD's processors, which may not be
// this machine's: all cases in one virtual machine, for its start takes long.

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/vm/cases.h"
#include "tests/vm/initramfs.h"
#include "tests/vm/result.h"
#include "tests/vm/virtual_machine.h"

namespace serai::testing {
namespace {

// Longer than the machine takes for its start, or for one case.
constexpr absl::Duration kPatience = absl::Seconds(120);

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

absl::StatusOr<std::string> RootFileSystem(const std::vector<VmCase>& cases) {
  Initramfs root;
  for (const char* name : {"dev", "proc", "guests"}) {
    root.AddDirectory(name);
  }
  const std::string build = BuildDir();
  RETURN_IF_ERROR(root.CopyFile("init", build + "/tests/vm_init"));
  RETURN_IF_ERROR(root.CopyFile("serai-tender", build + "/bin/serai-tender"));
  std::set<std::string> guests;
  for (const VmCase& c : cases) {
    guests.insert(absl::StrCat("guests/", View(c.guest_case.guest), ".",
                               View(c.guest_case.target)));
  }
  for (const std::string& guest : guests) {
    RETURN_IF_ERROR(root.CopyFile(guest, absl::StrCat(build, "/", guest)));
  }
  RETURN_IF_ERROR(root.AddModules("modules"));
  return root.Finish();
}

bool EndedBySignal(const CaseResult& result) {
  return result.status > 128 && result.status < 255;
}

// At level 0 the virtual processor is the guest's: whatever it does, it is the
// guest's end and not the tender's.
std::string WhatIsWrongAtLevel0(const CaseResult& result) {
  if (EndedBySignal(result) && result.status != kStopped) {
    return absl::StrCat("the tender crashed, status ", result.status);
  }
  if (absl::StrContains(result.report, "\"end\":\"failure\"")) {
    return "the tender failed";
  }
  return "";
}

// Empty where the case came out as it should.
std::string WhatIsWrong(const VmCase& vm_case, const CaseResult& result) {
  const GuestCase& c = vm_case.guest_case;
  const bool is_hvt = c.target == "hvt";
  if (result.status == kHangs) return "it does not end";
  if (vm_case.at_level0 && c.level0 == AtLevel0::kOpen) {
    return WhatIsWrongAtLevel0(result);
  }
  if (c.status == kAnyStatus) {
    if (EndedBySignal(result) == is_hvt) {
      return absl::StrCat("status ", result.status);
    }
  } else if (result.status != c.status) {
    return absl::StrCat("status ", result.status, " instead of ", c.status);
  }
  if (!absl::StrContains(result.output, View(c.output))) {
    return absl::StrCat("it does not say '", View(c.output), "'");
  }
  const std::string end = absl::StrCat("{\"end\":\"", View(c.end), "\"");
  if (is_hvt && !c.end.empty() && !absl::StrContains(result.report, end)) {
    return absl::StrCat("its end is no ", View(c.end));
  }
  return result.wrong;
}

// A row of the table, and where something is wrong what it said.
void Report(const VmCase& vm_case, const CaseResult& result) {
  const std::string name = Name(vm_case);
  const std::string wrong = WhatIsWrong(vm_case, result);
  std::printf("%s  %3d  %s\n", wrong.empty() ? "ok    " : "FAILED",
              result.status, name.c_str());
  EXPECT_EQ(wrong, "") << name << "\n"
                       << result.output << "\n"
                       << result.report;
}

TEST(VirtualMachineTest, GuestsComeOutTheSameOnKvmForAmd) {
  SERAI_NEED("vm");
  const std::vector<VmCase> cases = AllCases();
  ASSERT_OK_AND_ASSIGN(const std::string root, RootFileSystem(cases));
  VirtualMachine machine({.initramfs = root,
                          .kernel_options = "tsc=reliable",
                          .devices = {"-serial", "chardev:line"}});
  std::string last;
  size_t results = 0;
  while (const std::optional<std::string> line = machine.ReadLine(kPatience)) {
    last = *line;
    const std::optional<CaseResult> result = FromLine(*line);
    if (!result.has_value()) continue;
    ASSERT_LT(result->index, cases.size());
    Report(cases[result->index], *result);
    ++results;
  }
  if (last == "done") {
    EXPECT_EQ(results, cases.size());
    return;
  }
  ADD_FAILURE() << "the machine ended or fell silent after " << results
                << " cases, last with '" << last << "'; then would come\n"
                << (results < cases.size() ? Name(cases[results]) : "its end")
                << "\nIts console:\n"
                << machine.Console();
}

}  // namespace
}  // namespace serai::testing
