// SPDX-License-Identifier: Apache-2.0
// --gdb: what gdb can do with a guest, at both levels.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/gdb_program.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

struct Result {
  std::string gdb;  // what gdb printed
  std::string tender;
  std::optional<int> status;
};

// Its parameter is the privilege level.
class GdbTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SERAI_NEED("kvm");
    SERAI_NEED("gdb");
  }
  std::string Socket() const { return directory_ / "gdb"; }

  TenderSpec Spec(const std::vector<std::string>& args) const {
    TenderSpec spec;
    spec.args = {"--mem=32", std::string("--cpl=") + GetParam(), "--status=@2",
                 "--gdb=unix:" + Socket()};
    spec.args.insert(spec.args.end(), args.begin(), args.end());
    return spec;
  }

  // Runs debuggee.hvt --do=WHAT under gdb, which does `commands`.
  Result Debug(const std::string& what,
               const std::vector<std::string>& commands) const {
    TenderProcess tender(Spec({Guest("debuggee.hvt"), "--do=" + what}));
    Result result;
    EXPECT_TRUE(tender.WaitForOutput("waiting for gdb")) << tender.Output();
    std::vector<std::string> all = {"target remote " + Socket()};
    all.insert(all.end(), commands.begin(), commands.end());
    result.gdb = RunGdb(Guest("debuggee.hvt"), "", all);
    result.status = tender.Wait();
    result.tender = tender.Output();
    return result;
  }

  TempDir directory_;
};

INSTANTIATE_TEST_SUITE_P(Levels, GdbTest, ::testing::Values("3", "0"),
                         [](const auto& level) {
                           return absl::StrCat("AtLevel", level.param);
                         });

// What KVM does at level 0, or the guest alone.
class GdbAtLevel3Test : public GdbTest {};
INSTANTIATE_TEST_SUITE_P(Levels, GdbAtLevel3Test, ::testing::Values("3"));

TEST_P(GdbTest, StopsAtBreakpoints) {
  const Result result =
      Debug("add", {"break debuggee_add", "continue", "continue", "bt",
                    "p amount", "p debuggee_total", "delete", "continue"});
  EXPECT_THAT(result.gdb, ContainsRegex("#0 .*debuggee_add \\(amount=2\\)"));
  EXPECT_THAT(result.gdb, ContainsRegex("#2 .*serai::guest::Main"));
  EXPECT_THAT(result.gdb, HasSubstr("$1 = 2"));
  EXPECT_THAT(result.gdb, HasSubstr("$2 = 1"));
  EXPECT_THAT(result.gdb, HasSubstr("exited normally"));
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.tender, HasSubstr("debuggee: total 10"));
}

TEST_P(GdbTest, WaitsBeforeTheFirstInstruction) {
  const Result result =
      Debug("add", {"p $pc == (unsigned long)&_start", "p $rdi", "kill"});
  EXPECT_THAT(result.gdb, HasSubstr("$1 = 1"));
  EXPECT_THAT(result.gdb, HasSubstr("$2 = 65536"));
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_THAT(result.tender, Not(HasSubstr("total")));
}

TEST_P(GdbTest, StepsThroughTheSource) {
  const Result result =
      Debug("add", {"break debuggee_add", "continue", "step", "step",
                    "info locals", "p debuggee_total", "up", "info symbol $pc",
                    "delete", "continue"});
  EXPECT_THAT(result.gdb, HasSubstr("before = 0"));
  EXPECT_THAT(result.gdb, HasSubstr("$1 = 1"));
  EXPECT_EQ(result.status, 0);
}

TEST_P(GdbTest, ChangesRegistersAndMemory) {
  const Result result =
      Debug("add", {"break debuggee_add", "continue", "set var amount = 100",
                    "set var debuggee_status = 7", "set var $r15 = 0x1234",
                    "p/x $r15", "set var $xmm3.v2_double[1] = 2.5",
                    "p $xmm3.v2_double[1]", "delete", "continue"});
  EXPECT_THAT(result.gdb, HasSubstr("$1 = 0x1234"));
  EXPECT_THAT(result.gdb, HasSubstr("$2 = 2.5"));
  EXPECT_THAT(result.gdb, HasSubstr("exited with code 07"));
  EXPECT_THAT(result.tender, HasSubstr("debuggee: total 109"));
  EXPECT_EQ(result.status, 7);
}

TEST_P(GdbAtLevel3Test, DoesNotShowInTheGuestsFlags) {
  std::vector<std::string> commands = {"break debuggee_first_step", "continue"};
  // Each is one instruction: what is emulated as well.
  for (int i = 0; i < 11; ++i) commands.emplace_back("stepi");
  commands.insert(commands.end(),
                  {"p $pc == (unsigned long)&debuggee_last_step",
                   "p $rdx & 0x100", "delete", "stepi 100", "continue"});
  const Result result = Debug("flags", commands);
  EXPECT_THAT(result.gdb, HasSubstr("$1 = true\n$2 = 0\n"));
  EXPECT_THAT(result.tender, HasSubstr("debuggee: breakpoints 2, trap flag 0"));
  EXPECT_EQ(result.status, 0);
}

TEST_P(GdbAtLevel3Test, StepsThroughTheGuestsOwnBreakpoints) {
  const Result result =
      Debug("flags", {"break *debuggee_first_step", "continue", "finish",
                      "stepi 60", "info symbol $pc", "continue"});
  EXPECT_THAT(result.gdb, HasSubstr("in section .text"));
  EXPECT_THAT(result.tender, HasSubstr("debuggee: breakpoints 2, trap flag 0"));
  EXPECT_EQ(result.status, 0);
}

TEST_P(GdbAtLevel3Test, TellsOfAnExceptionBeforeTheGuest) {
  const Result result =
      Debug("fail", {"continue", "bt", "stepi", "info symbol $pc", "continue"});
  EXPECT_THAT(result.gdb, HasSubstr("SIGSEGV"));
  EXPECT_THAT(result.gdb, ContainsRegex("#0 .*debuggee_store \\(at=0x0\\)"));
  EXPECT_THAT(result.gdb, ContainsRegex("#1 .*debuggee_fail"));
  EXPECT_THAT(result.gdb, HasSubstr("serai_guest_trap_stubs"));
  EXPECT_THAT(result.gdb, HasSubstr("terminated with signal SIGABRT"));
  EXPECT_EQ(result.status, 255);
}

TEST_P(GdbAtLevel3Test, KeepsAnExceptionFromTheGuest) {
  const Result result =
      Debug("fail", {"continue", "set var at = &debuggee_total",
                     "set var $rax = &debuggee_total", "signal 0"});
  EXPECT_THAT(result.tender, Not(HasSubstr("trap:")));
}

TEST_P(GdbTest, CallsAFunctionOfTheGuests) {
  const Result result =
      Debug("add", {"break debuggee_add", "continue", "delete",
                    "p debuggee_flags() & 0x100", "p debuggee_flags() & 2",
                    "bt", "continue"});
  EXPECT_THAT(result.gdb, HasSubstr("$1 = 0\n$2 = 2\n"));
  EXPECT_THAT(result.gdb, ContainsRegex("#0 +debuggee_add \\(amount=1\\)"));
  EXPECT_THAT(result.tender, HasSubstr("debuggee: total 10"));
  EXPECT_EQ(result.status, 0);
}

TEST_P(GdbTest, TellsOfAnAbortBeforeTheEnd) {
  const Result result = Debug("abort", {"continue", "bt", "continue"});
  EXPECT_THAT(result.gdb, ContainsRegex("received signal SIGABRT"));
  EXPECT_THAT(result.gdb, ContainsRegex("#0 .*serai::guest::Exit"));
  EXPECT_THAT(result.gdb, ContainsRegex("terminated with signal SIGABRT"));
  EXPECT_EQ(result.status, 255);
}

TEST_P(GdbTest, TheGuestRunsOnAfterDetach) {
  const Result result =
      Debug("add", {"break debuggee_add", "continue", "detach"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.tender, HasSubstr("debuggee: total 10"));
}

TEST_P(GdbTest, TheGuestRunsOnWhenGdbEnds) {
  const Result result = Debug("add", {"break debuggee_add", "continue"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.tender, HasSubstr("debuggee: total 10"));
}

TEST_P(GdbTest, WatchesMemory) {
  const Result result =
      Debug("add", {"watch debuggee_total", "continue", "bt", "continue",
                    "delete", "hbreak debuggee_add", "continue", "p amount",
                    "delete", "continue"});
  EXPECT_THAT(result.gdb,
              AllOf(HasSubstr("Old value = 0"), HasSubstr("New value = 1")));
  EXPECT_THAT(result.gdb,
              AllOf(HasSubstr("Old value = 1"), HasSubstr("New value = 3")));
  EXPECT_THAT(result.gdb, ContainsRegex("#0 +debuggee_add"));
  EXPECT_THAT(result.gdb, HasSubstr("$1 = 3"));
  EXPECT_THAT(result.tender, HasSubstr("debuggee: total 10"));
  EXPECT_EQ(result.status, 0);
}

// A debugger's connection, by hand.
class GdbConnectionTest : public GdbTest {
 protected:
  UniqueFd Connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = Socket();
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                        sizeof(address)),
              0);
    return fd;
  }
  static void Send(const UniqueFd& fd, const std::string& payload) {
    unsigned sum = 0;
    for (const char c : payload) sum += static_cast<unsigned char>(c);
    SendBytes(fd, absl::StrCat("$", payload, "#",
                               absl::Hex(sum & 0xff, absl::kZeroPad2)));
  }
  static void SendBytes(const UniqueFd& fd, const std::string& bytes) {
    EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // What comes until `text` does, or the end.
  static std::string ReceiveUntil(const UniqueFd& fd, const std::string& text) {
    const timeval patience = {10, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof(patience));
    std::string all;
    char c = 0;
    while (!absl::EndsWith(all, text) && ::recv(fd.get(), &c, 1, 0) == 1) {
      all += c;
    }
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Levels, GdbConnectionTest, ::testing::Values("3", "0"),
                         [](const auto& level) {
                           return absl::StrCat("AtLevel", level.param);
                         });

TEST_P(GdbConnectionTest, CtrlCStopsAGuestThatRunsOrSleeps) {
  for (const char* what : {"spin", "sleep"}) {
    SCOPED_TRACE(what);
    TenderProcess tender(
        Spec({Guest("debuggee.hvt"), absl::StrCat("--do=", what)}));
    ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
    const UniqueFd gdb = Connect();
    Send(gdb, "c");
    ASSERT_TRUE(tender.WaitForOutput("debuggee: "));
    // More than once, and before and after other requests.
    for (int i = 0; i < 5; ++i) {
      tender.Kill(SIGUSR1);
      SendBytes(gdb, "\x03");
      EXPECT_THAT(ReceiveUntil(gdb, "#"), HasSubstr("$T02thread:1;"));
      // A step may be the one that sleeps.
      if (absl::string_view(what) == "spin") {
        Send(gdb, "s");
        EXPECT_THAT(ReceiveUntil(gdb, "#"), HasSubstr("$T05thread:1;"));
      }
      Send(gdb, "c");
    }
    tender.Kill(SIGTERM);
    EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
  }
}

TEST_P(GdbConnectionTest, CtrlCEndsTheSleepOfAGuest) {
  TenderProcess tender(Spec({Guest("debuggee.hvt"), "--do=sleep"}));
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
  const UniqueFd gdb = Connect();
  const std::string shown =
      RunGdb(Guest("debuggee.hvt"), "", {"p/x &debuggee_total"});
  const size_t at = shown.find("0x");
  ASSERT_NE(at, std::string::npos) << shown;
  Send(gdb, "c");
  ASSERT_TRUE(tender.WaitForOutput("debuggee: asleep"));
  absl::SleepFor(absl::Milliseconds(50));
  SendBytes(gdb, "\x03");
  EXPECT_THAT(ReceiveUntil(gdb, ";#"), HasSubstr("$T02thread:1;"));
  Send(gdb, "s");
  EXPECT_THAT(ReceiveUntil(gdb, ";#"), HasSubstr("$T05thread:1;"));
  Send(gdb, absl::StrCat("M", shown.substr(at + 2, 6), ",1:01"));
  Send(gdb, "c");
  EXPECT_EQ(tender.Wait(), 0);
  EXPECT_THAT(tender.Output(), HasSubstr("debuggee: awake"));
}

TEST_P(GdbConnectionTest, TheGuestRunsOnWhenTheDebuggerVanishes) {
  TenderProcess tender(Spec({Guest("debuggee.hvt"), "--do=spin"}));
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
  {
    const UniqueFd gdb = Connect();
    Send(gdb, "c");
    ASSERT_TRUE(tender.WaitForOutput("debuggee: spinning"));
  }
  absl::SleepFor(absl::Milliseconds(50));
  tender.Kill(SIGUSR1);
  EXPECT_TRUE(tender.WaitForOutput("\"stats\""));
  tender.Kill(SIGTERM);
  EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
}

TEST_P(GdbConnectionTest, NonsenseDoesNotHarmTheTender) {
  TenderProcess tender(Spec({Guest("debuggee.hvt"), "--do=add"}));
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
  const UniqueFd gdb = Connect();
  SendBytes(gdb, std::string(100000, '$') + "#00\x03\x03--" +
                     std::string(5000, '\xff'));
  for (const char* packet :
       {"m0,ffffffff", "Mffffffffffffffff,1:00", "Z0,0,0", "Z2,3,8", "P10=ff",
        "G00", "z1,1,1", "vCont;x", "qXfer:features:read:target.xml:1"}) {
    Send(gdb, packet);
  }
  Send(gdb, "D");
  EXPECT_EQ(tender.Wait(), 0);
  EXPECT_THAT(tender.Output(), HasSubstr("debuggee: total 10"));
}

TEST_P(GdbConnectionTest, TheSocketIsItsOwnersAndGoesWhenItIsUsed) {
  TenderProcess tender(Spec({Guest("debuggee.hvt"), "--do=add"}));
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
  struct stat status = {};
  ASSERT_EQ(::stat(Socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, mode_t{S_IFSOCK | 0600});
  { const UniqueFd gdb = Connect(); }
  EXPECT_EQ(tender.Wait(), 0);
  EXPECT_NE(::stat(Socket().c_str(), &status), 0);
}

TEST_P(GdbConnectionTest, SigtermEndsATenderThatWaits) {
  TenderProcess tender(Spec({Guest("debuggee.hvt")}));
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
  tender.Kill(SIGTERM);
  EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
}

TEST_P(GdbConnectionTest, ACoreFileHoldsNoBreakpoints) {
  TenderSpec spec = Spec({Guest("debuggee.hvt"), "--do=spin"});
  spec.args.insert(spec.args.begin(), "--dumpcore=" + directory_.path());
  TenderProcess tender(spec);
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb"));
  const UniqueFd gdb = Connect();
  const std::string shown =
      RunGdb(Guest("debuggee.hvt"), "", {"p/x &debuggee_add"});
  const size_t at = shown.find("0x");
  ASSERT_NE(at, std::string::npos) << shown;
  const std::string address = shown.substr(at + 2, 6);
  Send(gdb, absl::StrCat("Z0,", address, ",1"));
  Send(gdb, "c");
  ASSERT_TRUE(tender.WaitForOutput("debuggee: spinning"));
  tender.Kill(SIGQUIT);
  EXPECT_EQ(tender.Wait(), 128 + SIGQUIT);
  EXPECT_THAT(ReceiveUntil(gdb, "X03#"), HasSubstr("$X03#"));
  std::string core = tender.Output();
  core = core.substr(core.find("core.serai-tender"));
  core.erase(core.find('\n'));
  const std::string code = RunGdb(Guest("debuggee.hvt"), directory_ / core,
                                  {absl::StrCat("x/1xb 0x", address)});
  EXPECT_THAT(code, ContainsRegex("debuggee_add.*:\t0x55"));
}

TEST_P(GdbConnectionTest, ListensOnThePortOfTheLoopbackInterface) {
  TenderSpec spec;
  // One that is likely free, different from run to run.
  const int port = 20000 + ::getpid() % 10000;
  spec.args = {"--mem=32", std::string("--cpl=") + GetParam(),
               absl::StrCat("--gdb=tcp:", port), Guest("debuggee.hvt")};
  TenderProcess tender(spec);
  ASSERT_TRUE(tender.WaitForOutput("waiting for gdb")) << tender.Output();
  EXPECT_THAT(
      RunGdb(Guest("debuggee.hvt"), "",
             {absl::StrCat("target remote 127.0.0.1:", port), "continue"}),
      HasSubstr("exited normally"));
  EXPECT_EQ(tender.Wait(), 0);
}

TEST(GdbOptionTest, IsNotForSpt) {
  TenderSpec spec;
  spec.args = {"--mem=32", "--gdb", Guest("hello.spt")};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("run the tender under gdb"));
}

}  // namespace
}  // namespace serai::testing
