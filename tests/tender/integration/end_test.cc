// SPDX-License-Identifier: Apache-2.0
// The real tender with real guests: signals, and how they end.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/pipe.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/integration/tender_case.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class TenderEndTest : public TenderTest {};

INSTANTIATE_TEST_SUITE_P(Targets, TenderEndTest,
                         ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(TenderEndTest, EndsAtOnceOnSignals) {
  for (const int number : {SIGTERM, SIGINT}) {
    TenderSpec spec;
    spec.args = {"--mem=32", Guest("spin")};
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(number);
    EXPECT_EQ(tender.Wait(), 128 + number);
  }
}

TEST_P(TenderEndTest, TellsOfTheRequestToEnd) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd writer(pipe[1]);
  for (const char* mode : {"", "--idle"}) {
    TenderSpec spec;
    spec.fds = {{kDeviceFd, writer.get()}};
    spec.args = {"--mem=32", "--status=@7", Guest("spin"), mode};
    if (*mode == '\0') spec.args.pop_back();
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(SIGTERM);
    EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
    char line[128] = {};
    EXPECT_GT(::read(reader.get(), line, sizeof(line) - 1), 0);
    EXPECT_STREQ(line, "{\"end\":\"signal\",\"status\":143,\"signal\":15}\n");
  }
}

TEST_P(TenderEndTest, EndsOnSigtermAsTheFirstProcessOfItsNamespace) {
  SERAI_NEED("root");
  for (const char* mode : {"", "--idle"}) {
    TenderSpec spec;
    spec.first_of_pid_namespace = true;
    spec.args = {"--mem=32", Guest("spin"), mode};
    if (*mode == '\0') spec.args.pop_back();
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(SIGTERM);
    EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
  }
}

TEST_P(TenderEndTest, OutlivesItsConsole) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd full(pipe[1]);  // once a flood has passed
  const UniqueFd broken = Open("/dev/full", O_WRONLY);
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  ::close(pipe[0]);
  const UniqueFd unread(pipe[1]);
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd idle_reader(pipe[0]);
  const UniqueFd stuck(pipe[1]);
  for (const int console :
       {full.get(), broken.get(), unread.get(), stuck.get()}) {
    TenderSpec spec;
    spec.stdout_fd = console;
    spec.args = {"--mem=32", Guest("flood"), "--lines=5000"};
    EXPECT_EQ(RunTender(spec).status, 0);
  }
}

TEST(TenderSptTest, LeavesNoCoreOfAGuestThatCrashes) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_CORE, &before), 0);
  const rlimit all = {before.rlim_max, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_CORE, &all), 0);
  const TempDir directory;
  TenderSpec spec;
  spec.directory = directory.path();
  const UniqueFd kernel = Open(Guest("crash.spt"), O_RDONLY);
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5"};
  TenderProcess tender(spec);
  EXPECT_EQ(tender.Wait(), 128 + SIGSEGV);
  EXPECT_FALSE(tender.dumped_core());
  EXPECT_EQ(::setrlimit(RLIMIT_CORE, &before), 0);
}

TEST(TenderHvtTest, EndsAGuestThatWritesToItsText) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("crash.hvt"), "--how=text"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("host/guest translation fault"));
}

TEST(TenderHvtTest, ReportsAStatusThatDoesNotFitAsAFailure) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("exit.hvt"), "--status=256"};
  EXPECT_EQ(RunTender(spec).status, 255);
}

// A pipe that is full and that nobody reads.
Pipe FullPipe() {
  Pipe pipe = *MakePipe();
  EXPECT_EQ(::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string page(4096, 'x');
  while (::write(pipe.write_end.get(), page.data(), page.size()) > 0) {
  }
  EXPECT_EQ(::fcntl(pipe.write_end.get(), F_SETFL, 0), 0);
  return pipe;
}

TEST(TenderHvtTest, EndsOnTimeWhereNobodyReadsItsStatus) {
  SERAI_NEED("kvm");
  const Pipe full = FullPipe();
  TenderSpec spec;
  spec.args = {"--mem=32", "--status=@3", "--stats", Guest("spin.hvt")};
  spec.fds = {{3, full.write_end.get()}};
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

TEST(TenderHvtTest, AnswersAlsoWhereItsParentHadTheSignalBlocked) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("spin.hvt")};
  spec.prepare = [] {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    return ::sigprocmask(SIG_BLOCK, &blocked, nullptr) == 0;
  };
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  process.Kill(SIGUSR1);
  EXPECT_TRUE(process.WaitForOutput("\"stats\"")) << process.Output();
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

// A wait that was interrupted by a stop goes on by a system call of its own.
TEST(TenderHvtTest, OutlivesStopsWhileItsConsoleIsFull) {
  SERAI_NEED("kvm");
  const Pipe full = FullPipe();
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("flood.hvt"), "--lines=100000"};
  spec.stdout_fd = full.write_end.get();
  TenderProcess process(spec);
  for (int i = 0; i < 40; ++i) {
    process.Kill(SIGSTOP);
    ::usleep(5'000);
    process.Kill(SIGCONT);
    ::usleep(5'000);
  }
  process.Kill(SIGTERM);
  EXPECT_THAT(process.Wait(), ::testing::AnyOf(0, 128 + SIGTERM))
      << process.Output();
}

}  // namespace
}  // namespace serai::testing
