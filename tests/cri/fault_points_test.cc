// SPDX-License-Identifier: Apache-2.0
// No step that can be made to fail is forgotten by the tests.
#include "tests/support/fault_points.h"

#include <filesystem>
#include <set>

#include "gmock/gmock.h"
#include "lib/base/file.h"

namespace serai::testing {
namespace {

constexpr char kCall[] = "FaultPoint(\"";

// The names that the source files below `directory` give to steps.
void AddStepsIn(const std::string& directory, std::multiset<std::string>& out) {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text =
        ReadFile(entry.path().string(), 1 << 20).value_or(std::string());
    for (size_t at = text.find(kCall); at != std::string::npos;
         at = text.find(kCall, at + 1)) {
      const size_t begin = at + sizeof(kCall) - 1;
      out.insert(text.substr(begin, text.find('"', begin) - begin));
    }
  }
}

TEST(FaultPointsTest, EveryStepOfTheSourceIsInTheTableOnce) {
  std::multiset<std::string> in_source;
  for (const char* room : {"cri", "cni", "lib"}) {
    AddStepsIn(JoinPath(SERAI_SOURCE_DIR, room), in_source);
  }
  std::multiset<std::string> in_table;
  for (const FaultStep& step : kFaultSteps) in_table.insert(step.name);
  EXPECT_EQ(in_source, in_table);
}

}  // namespace
}  // namespace serai::testing
