// SPDX-License-Identifier: Apache-2.0
// What surrounds an spt guest, and what is said of its end.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tender/spt/stub.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr size_t kMaxFile = 1 << 20;
constexpr int kStatusFd = 9;
constexpr int kForbidden = 128 + SIGSYS;
constexpr int kFault = 128 + SIGSEGV;

// A tender with a status descriptor. Its JSON lines are read at the end.
class Reported {
 public:
  explicit Reported(TenderSpec spec) {
    int pipe[2];
    EXPECT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    reader_.reset(pipe[0]);
    const UniqueFd writer(pipe[1]);
    spec.fds[kStatusFd] = writer.get();
    spec.args.insert(spec.args.begin(), absl::StrCat("--status=@", kStatusFd));
    tender_.emplace(spec);
  }

  TenderProcess& tender() { return *tender_; }

  std::string StatusLines() {
    std::string lines(4096, '\0');
    const ssize_t n = ::read(reader_.get(), lines.data(), lines.size());
    lines.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return lines;
  }

 private:
  UniqueFd reader_;
  std::optional<TenderProcess> tender_;
};

TenderSpec SpecOf(std::vector<std::string> args) {
  TenderSpec spec;
  args[0] = Guest(args[0] + ".spt");
  args.insert(args.begin(), "--mem=32");
  spec.args = std::move(args);
  return spec;
}

struct Mapping {
  uint64_t start = 0;
  uint64_t end = 0;
  std::string access;
  std::string name;
};

std::vector<Mapping> MappingsOf(pid_t pid) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/maps"), kMaxFile);
  EXPECT_TRUE(text.ok()) << text.status();
  std::vector<Mapping> mappings;
  for (const auto line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    Mapping mapping;
    char dash = 0;
    std::string offset, device, inode;
    std::istringstream words{std::string(line.data(), line.size())};
    words >> std::hex >> mapping.start >> dash >> mapping.end >>
        mapping.access >> offset >> device >> inode >> mapping.name;
    mappings.push_back(mapping);
  }
  return mappings;
}

// Where the stub is, seen from outside; 0 where there's none.
uint64_t StubOf(pid_t pid) {
  for (const Mapping& mapping : MappingsOf(pid)) {
    if (mapping.access == "r-xp" && mapping.start >= uint64_t{32} << 20) {
      return mapping.start;
    }
  }
  return 0;
}

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

struct EndCase {
  std::vector<std::string> args;
  int status;
  std::string line;
  std::string message;
};

const EndCase kEndCases[] = {
    {{"exit", "--status=0"}, 0, "{\"end\":\"exit\",\"status\":0}\n", ""},
    {{"exit", "--status=7"}, 7, "{\"end\":\"exit\",\"status\":7}\n", ""},
    {{"exit", "--status=256"}, 255, "{\"end\":\"exit\",\"status\":256}\n", ""},
    {{"exit", "--status=65536"},
     255,
     "{\"end\":\"exit\",\"status\":65536}\n",
     ""},
    {{"exit", "--status=259"}, 3, "{\"end\":\"exit\",\"status\":259}\n", ""},
    {{"crash", "--how=abort"},
     255,
     "{\"end\":\"abort\",\"status\":255}\n",
     "serai-tender: the guest aborted\n"},
    {{"crash", "--how=null"},
     kFault,
     "{\"end\":\"fault\",\"status\":139,\"signal\":11,\"address\":\"0x0\","
     "\"rip\":\"0x",
     "serai-tender: the guest died of SIGSEGV: address=0x0, rip=0x"},
    {{"crash", "--how=gp"}, kFault, "{\"end\":\"fault\"", "died of SIGSEGV"},
    {{"crash", "--how=ud2"},
     128 + SIGILL,
     "{\"end\":\"fault\",\"status\":132,\"signal\":4,",
     "died of SIGILL: address=0x"},
    {{"crash", "--how=divide"},
     128 + SIGFPE,
     "{\"end\":\"fault\",\"status\":136,\"signal\":8,",
     "died of SIGFPE: address=0x"},
    {{"evil_endless", "--how=breakpoint"},
     128 + SIGTRAP,
     "{\"end\":\"fault\",\"status\":133,\"signal\":5,",
     "died of SIGTRAP: address=0x"},
    {{"evil_syscalls", "--how=any", "--call=57"},
     kForbidden,
     "{\"end\":\"seccomp\",\"status\":159,\"syscall\":57,\"rip\":\"0x10",
     "serai-tender: the guest made a forbidden system call: number=57, rip=0x"},
    {{"evil_syscalls", "--how=any", "--call=1", "--a=2"},
     kForbidden,
     "{\"end\":\"seccomp\",\"status\":159,\"syscall\":1,",
     "number=1,"},
    // Those of other ABIs are not even told.
    {{"evil_syscalls", "--how=int80", "--call=4", "--a=1"}, kForbidden, "", ""},
    {{"evil_syscalls", "--how=x32", "--call=231"}, kForbidden, "", ""},
};

class SptEndTest : public ::testing::TestWithParam<EndCase> {};

INSTANTIATE_TEST_SUITE_P(Ends, SptEndTest, ::testing::ValuesIn(kEndCases));

TEST_P(SptEndTest, IsToldInBothWays) {
  const EndCase& one = GetParam();
  Reported reported(SpecOf(one.args));
  EXPECT_EQ(reported.tender().Wait(), one.status);
  EXPECT_THAT(reported.tender().Output(), HasSubstr(one.message));
  const std::string lines = reported.StatusLines();
  EXPECT_THAT(lines, StartsWith(one.line));
  EXPECT_EQ(lines.empty(), one.line.empty());
}

TEST_P(SptEndTest, IsTheSameWhereNobodyWantsToBeTold) {
  const EndCase& one = GetParam();
  const TenderResult result = RunTender(SpecOf(one.args));
  EXPECT_EQ(result.status, one.status);
  EXPECT_THAT(result.output, HasSubstr(one.message));
}

TEST_P(SptEndTest, IsTheSameForTheFirstProcessOfANamespace) {
  SERAI_NEED("root");
  const EndCase& one = GetParam();
  TenderSpec spec = SpecOf(one.args);
  spec.first_of_pid_namespace = true;
  Reported reported(spec);
  EXPECT_EQ(reported.tender().Wait(), one.status);
  EXPECT_THAT(reported.StatusLines(), StartsWith(one.line));
}

TEST(SptSignalTest, TellsOfTheRequestToEnd) {
  SERAI_NEED("root");
  for (const bool first : {false, true}) {
    for (const char* mode : {"", "--idle"}) {
      for (const int number : {SIGTERM, SIGINT}) {
        TenderSpec spec = SpecOf({"spin", mode});
        if (*mode == '\0') spec.args.pop_back();
        spec.first_of_pid_namespace = first;
        Reported reported(spec);
        ASSERT_TRUE(reported.tender().WaitForOutput("spin"));
        reported.tender().Kill(number);
        EXPECT_EQ(reported.tender().Wait(), 128 + number);
        EXPECT_EQ(reported.StatusLines(),
                  absl::StrCat("{\"end\":\"signal\",\"status\":", 128 + number,
                               ",\"signal\":", number, "}\n"));
      }
    }
  }
}

bool BlockAllSignals() {
  sigset_t all;
  ::sigfillset(&all);
  return ::sigprocmask(SIG_SETMASK, &all, nullptr) == 0;
}

TEST(SptSignalTest, AreTakenWhereTheCallerHadBlockedThem) {
  TenderSpec spec = SpecOf({"spin", "--idle"});
  spec.prepare = BlockAllSignals;
  TenderProcess idle(spec);
  ASSERT_TRUE(idle.WaitForOutput("spin"));
  idle.Kill(SIGTERM);
  EXPECT_EQ(idle.Wait(), 128 + SIGTERM);
  spec = SpecOf({"evil_syscalls", "--how=any", "--call=57"});
  spec.prepare = BlockAllSignals;
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, kForbidden);
  EXPECT_THAT(result.output, HasSubstr("number=57"));
}

// Which is no fault of the guest's.
TEST(SptSignalTest, SaysNothingOfASignalThatSomebodySent) {
  for (const int number :
       {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGKILL}) {
    Reported reported(SpecOf({"spin"}));
    ASSERT_TRUE(reported.tender().WaitForOutput("spin"));
    reported.tender().Kill(number);
    EXPECT_EQ(reported.tender().Wait(), 128 + number);
    EXPECT_THAT(reported.StatusLines(), IsEmpty());
    EXPECT_THAT(reported.tender().Output(), Not(HasSubstr("serai-tender:")));
  }
}

TEST(SptSignalTest, IgnoresRequestsThatAreForOtherGuests) {
  TenderProcess tender(SpecOf({"spin", "--idle"}));
  ASSERT_TRUE(tender.WaitForOutput("spin"));
  tender.Kill(SIGUSR1);
  tender.Kill(SIGUSR2);
  tender.Kill(SIGPIPE);
  absl::SleepFor(absl::Milliseconds(50));
  tender.Kill(SIGTERM);
  EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
}

TEST(SptSignalTest, DiesOfAFileThatIsCutOff) {
  const TempDir directory;
  const std::string path = directory / "spin.spt";
  const auto contents = ReadFile(Guest("evil_endless.spt"), kMaxFile);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_TRUE(WriteFileAtomic(path, *contents, 0644).ok());
  TenderSpec spec;
  spec.args = {"--mem=32", path, "--how=console"};
  Reported reported(spec);
  ASSERT_TRUE(reported.tender().WaitForOutput("about to console"));
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  EXPECT_EQ(reported.tender().Wait(), 128 + SIGBUS);
  EXPECT_THAT(reported.StatusLines(),
              StartsWith("{\"end\":\"fault\",\"status\":135,\"signal\":7,"));
  EXPECT_THAT(reported.tender().Output(), HasSubstr("died of SIGBUS"));
}

TEST(SptConsoleTest, IsLeftToItselfWhenNobodyReads) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd writer(pipe[1]);
  TenderSpec spec = SpecOf({"flood", "--lines=20000"});
  spec.stdout_fd = writer.get();
  EXPECT_EQ(RunTender(spec).status, 0);
  // The descriptor that others share is as it was; the pipe holds more.
  EXPECT_EQ(::fcntl(writer.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_GE(::fcntl(reader.get(), F_GETPIPE_SZ), 256 * 1024);
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
