// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/testing/guest_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(2);

// Between fork and exec: nothing but system calls.
[[noreturn]] void Exec(const std::vector<char*>& argv, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

std::string TenderPath() {
  const char* path = std::getenv("SERAI_TENDER");
  return path != nullptr ? path : absl::StrCat(BuildDir(), "/bin/serai-tender");
}

GuestProcess::GuestProcess(const GuestSpec& spec)
    : output_(::memfd_create("guest-output", MFD_CLOEXEC)) {
  std::vector<std::string> args = {TenderPath(),
                                   absl::StrCat("--mem=", spec.memory_mib)};
  args.insert(args.end(), spec.devices.begin(), spec.devices.end());
  args.push_back(
      absl::StrCat(BuildDir(), "/guests/", spec.name, ".", spec.target));
  args.insert(args.end(), spec.args.begin(), spec.args.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  // Both streams share one offset; reads are by pread.
  ::fcntl(output_.get(), F_SETFL, O_APPEND);
  pid_ = ::fork();
  EXPECT_GE(pid_, 0);
  if (pid_ == 0) Exec(argv, output_.get());
}

GuestProcess::~GuestProcess() {
  if (!Running()) return;
  Kill(SIGKILL);
  EXPECT_TRUE(Wait().has_value()) << "the tender can't be killed";
}

std::string GuestProcess::Output() const {
  struct stat info = {};
  if (::fstat(output_.get(), &info) != 0) return {};
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t size = ::pread(output_.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

bool GuestProcess::WaitForOutput(absl::string_view text) {
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (absl::Now() < deadline) {
    const bool running = Running();
    if (absl::StrContains(Output(), text)) return true;
    if (!running) return false;
    absl::SleepFor(kInterval);
  }
  return false;
}

bool GuestProcess::Running() { return !Wait(absl::ZeroDuration()).has_value(); }

std::optional<int> GuestProcess::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!status_.has_value() && pid_ > 0) {
    int status = 0;
    const pid_t pid = ::waitpid(pid_, &status, WNOHANG);
    if (pid == pid_) {
      status_ =
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    if (absl::Now() >= deadline) return std::nullopt;
    absl::SleepFor(kInterval);
  }
  return status_;
}

void GuestProcess::Kill(int signal_number) {
  if (Running()) ::kill(pid_, signal_number);
}

GuestResult RunGuest(const GuestSpec& spec) {
  GuestProcess guest(spec);
  GuestResult result;
  result.status = guest.Wait().value_or(-1);
  result.output = guest.Output();
  return result;
}

}  // namespace serai::testing
