// SPDX-License-Identifier: Apache-2.0
// What surrounds an spt guest, and what it can make of that.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tender/spt/stub.h"
#include "tests/support/require.h"
#include "tests/tender/spt/spt_process.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SptSpaceTest, HoldsTheGuestAndTheStubAndNothingElse) {
  SERAI_NEED("root");
  constexpr uint64_t kGuestEnd = uint64_t{32} << 20;
  for (const char* mode : {"", "--idle"}) {
    TenderSpec spec = SpecOf({"spin", mode});
    if (*mode == '\0') spec.args.pop_back();
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    std::vector<Mapping> others;
    for (const Mapping& mapping : MappingsOf(tender.pid())) {
      if (mapping.end <= kGuestEnd) continue;
      // It cannot be unmapped. It can only be jumped into, and the filter sees
      // what the kernel then does as the system calls that they stand for.
      if (mapping.name == "[vsyscall]" && mapping.access == "--xp") continue;
      others.push_back(mapping);
    }
    ASSERT_EQ(others.size(), 2);
    EXPECT_EQ(others[0].access, "r-xp");
    EXPECT_EQ(others[0].end - others[0].start, tender::spt::kStubCodeSize);
    EXPECT_EQ(others[1].access, "rw-p");
    EXPECT_EQ(others[1].start, others[0].end);
    EXPECT_EQ(others[1].end - others[0].start, tender::spt::kStubSize);
  }
}

TEST(SptSpaceTest, HasTheStubSomewhereElseEachTime) {
  SERAI_NEED("root");
  std::vector<uint64_t> places;
  for (int i = 0; i < 3; ++i) {
    TenderProcess tender(SpecOf({"spin"}));
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    places.push_back(StubOf(tender.pid()));
    EXPECT_NE(places.back(), 0);
  }
  EXPECT_NE(places[0], places[1]);
  EXPECT_NE(places[1], places[2]);
}

TEST(SptSpaceTest, LetsTheGuestReadItsBootInformation) {
  const TenderResult reading =
      RunTender(SpecOf({"evil_memory", "--how=read", "--address=0x11000"}));
  EXPECT_EQ(reading.status, 0) << reading.output;
  const TenderResult writing =
      RunTender(SpecOf({"evil_memory", "--how=write", "--address=0x11000"}));
  EXPECT_EQ(writing.status, kFault) << writing.output;
}

TEST(SptSpaceTest, EndsAGuestThatUsesTheOldPageOfSystemCalls) {
  // gettimeofday(), which is a system call that the filter sees.
  const TenderResult result = RunTender(
      SpecOf({"evil_memory", "--how=jump", "--address=0xffffffffff600000"}));
  EXPECT_EQ(result.status, kForbidden) << result.output;
  EXPECT_THAT(result.output, HasSubstr("forbidden system call: number=96"));
}

// An attacked stub: the guest waits to be told where it is.
class SptStubTest : public ::testing::Test {
 protected:
  void SetUp() override { SERAI_NEED("root"); }

  void Attack(const std::string& how) {
    reported_.emplace(SpecOf({"evil_stub", "--how=" + how}));
    TenderProcess& tender = reported_->tender();
    ASSERT_TRUE(tender.WaitForOutput("tell at "));
    ASSERT_TRUE(tender.WaitForOutput("\n"));
    uint64_t where = 0;
    const std::vector<std::string> words =
        absl::StrSplit(tender.Output(), absl::ByAnyChar(" \n"));
    ASSERT_GE(words.size(), 4);
    ASSERT_TRUE(absl::SimpleAtoi(words[3], &where)) << tender.Output();
    const uint64_t stub = StubOf(tender.pid());
    const UniqueFd memory(
        ::open(absl::StrCat("/proc/", tender.pid(), "/mem").c_str(),
               O_RDWR | O_CLOEXEC));
    ASSERT_EQ(
        ::pwrite(memory.get(), &stub, sizeof(stub), static_cast<off_t>(where)),
        static_cast<ssize_t>(sizeof(stub)));
  }

  TenderProcess& tender() { return reported_->tender(); }
  std::string StatusLines() { return reported_->StatusLines(); }

 private:
  std::optional<Reported> reported_;
};

TEST_F(SptStubTest, IsCodeAndAStack) {
  Attack("read");
  EXPECT_EQ(tender().Wait(), 0);
  for (const char* how : {"write-code", "execute-stack", "below", "behind"}) {
    Attack(how);
    EXPECT_EQ(tender().Wait(), kFault) << how;
  }
}

TEST_F(SptStubTest, GivesNoMoreRightsThanToLie) {
  for (const char* how : {"call-open", "call-unmap", "call-filter",
                          "call-return", "call-write-other", "enter"}) {
    Attack(how);
    EXPECT_EQ(tender().Wait(), kForbidden) << how << tender().Output();
    EXPECT_THAT(tender().Output(), Not(HasSubstr("result"))) << how;
  }
  Attack("call-write");
  EXPECT_EQ(tender().Wait(), 0);
  EXPECT_THAT(tender().Output(), HasSubstr("a lie\nevil: result 6\n"));
  Attack("handle-request");
  EXPECT_EQ(tender().Wait(), 128 + SIGTERM);
  Attack("handle");
  EXPECT_EQ(tender().Wait(), kFault);
  // What it could also have had with less trouble.
  Attack("call-exit");
  EXPECT_EQ(tender().Wait(), 0);
}

TEST_F(SptStubTest, DiesWhateverTheGuestMakesOfIt) {
  for (const char* how : {"spoil-call", "stack-top", "stack-middle",
                          "stack-bottom", "stack-nowhere"}) {
    Attack(how);
    EXPECT_THAT(tender().Wait(), ::testing::AnyOf(kForbidden, kFault)) << how;
  }
  Attack("spoil-fault");
  EXPECT_EQ(tender().Wait(), kFault);
  Attack("spoil-wait");
  ASSERT_TRUE(tender().WaitForOutput("waiting"));
  tender().Kill(SIGTERM);
  EXPECT_THAT(tender().Wait(), ::testing::AnyOf(128 + SIGTERM, kFault));
}

}  // namespace
}  // namespace serai::testing
