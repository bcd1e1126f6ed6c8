// SPDX-License-Identifier: Apache-2.0
// What a shim costs its node, and the limits we promise.
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::PodShim;

// Three megabytes and a half: most of it is the program, of which all shims have
// the same pages.
constexpr uint64_t kMaxRssKb = 3584;
constexpr uint64_t kMaxPrivateKb = 300;

// A field of /proc/PID/smaps_rollup, in kB.
uint64_t Memory(pid_t pid, absl::string_view field) {
  const auto text =
      ReadFile(absl::StrCat("/proc/", pid, "/smaps_rollup"), 1 << 16);
  EXPECT_OK(text);
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" "), absl::SkipEmpty());
    uint64_t value = 0;
    if (words.size() == 3 && words[0] == absl::StrCat(field, ":") &&
        absl::SimpleAtoi(words[1], &value)) {
      return value;
    }
  }
  ADD_FAILURE() << "no " << field;
  return 0;
}

void ExpectSmall(const PodShim& shim, const std::string& when) {
  const uint64_t rss = Memory(shim.pid(), "Rss");
  // Not Private_Dirty: a program that was just linked has pages of its file
  // that are still to be written to disk, and they count there.
  const uint64_t own = Memory(shim.pid(), "Anonymous");
  ::testing::Test::RecordProperty(when + "_rss_kb", static_cast<int>(rss));
  ::testing::Test::RecordProperty(when + "_private_kb", static_cast<int>(own));
  EXPECT_LE(rss, kMaxRssKb) << when;
  EXPECT_LE(own, kMaxPrivateKb) << when;
}

TEST(FootprintTest, AShimIsSmallWhateverItHasDone) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' memory is not the shim's";
#endif
  PodShim shim;
  ExpectSmall(shim, "idle");
  ASSERT_OK(shim.Create("a", shim.Spec("a", "spin.spt", {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  ASSERT_TRUE(shim.WaitForLog("a", "spin: idle"));
  ExpectSmall(shim, "one_task");
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(shim.Create("b", shim.Spec("b", "flood.spt", {"--lines=1000"})));
    ASSERT_OK(shim.Start("b"));
    EXPECT_EQ(shim.Wait("b").value_or(99), 0U);
    ASSERT_OK(shim.Delete("b"));
  }
  ExpectSmall(shim, "after_20_tasks");
}

}  // namespace
}  // namespace serai::shim
