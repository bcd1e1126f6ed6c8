// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/tender_process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr uid_t kNobody = 65534;
// Above the descriptors that a test uses and those that a tender is given.
constexpr int kParking = 200;

[[noreturn]] void FailChild(const char* what) {
  ::perror(what);
  ::_exit(125);
}

void PlaceDescriptors(const TenderSpec& spec, int output) {
  std::map<int, int> wanted = spec.fds;
  wanted[STDOUT_FILENO] = spec.stdout_fd >= 0 ? spec.stdout_fd : output;
  wanted[STDERR_FILENO] = output;
  for (auto& [place, fd] : wanted) fd = ::fcntl(fd, F_DUPFD, kParking);
  for (const auto& [place, fd] : wanted) {
    if (::dup2(fd, place) < 0) FailChild("dup2");
  }
  for (int fd = STDERR_FILENO + 1; fd < kParking + 100; ++fd) {
    if (wanted.count(fd) == 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

void GiveUpEverything() {
  char directory[] = "/tmp/serai-empty.XXXXXX";
  // Nothing is left behind, and nothing can come in, when it is removed first.
  if (::mkdtemp(directory) == nullptr || ::chmod(directory, 0755) != 0 ||
      ::chdir(directory) != 0 || ::rmdir(directory) != 0 ||
      ::chroot(".") != 0) {
    FailChild("chroot");
  }
  if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 ||
      ::setuid(kNobody) != 0) {
    FailChild("setuid");
  }
}

[[noreturn]] void RunChild(const TenderSpec& spec, int program, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int parked = ::fcntl(program, F_DUPFD, kParking);
  PlaceDescriptors(spec, output);
  if (spec.with_nothing) GiveUpEverything();
  if (!spec.directory.empty() && ::chdir(spec.directory.c_str()) != 0) {
    FailChild("chdir");
  }
  if (spec.prepare && !spec.prepare()) FailChild("preparing");
  // Forgotten when a process changes its user.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::vector<char*> argv = {const_cast<char*>("serai-tender")};
  for (const std::string& arg : spec.args) {
    argv.push_back(const_cast<char*>(arg.c_str()));
  }
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  ::syscall(SYS_execveat, parked, "", argv.data(), environment, AT_EMPTY_PATH);
  FailChild("execveat");
}

}  // namespace

TenderProcess::TenderProcess(const TenderSpec& spec) {
  const std::string path = BuildDir() + "/bin/serai-tender";
  const UniqueFd program(::open(path.c_str(), O_PATH | O_CLOEXEC));
  EXPECT_TRUE(program.valid()) << path;
  int pipe[2];
  EXPECT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  output_fd_.reset(pipe[0]);
  const UniqueFd writer(pipe[1]);
  const unsigned long flags =
      SIGCHLD | (spec.first_of_pid_namespace ? CLONE_NEWPID : 0);
  pid_ = static_cast<pid_t>(
      ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
  if (pid_ == 0) RunChild(spec, program.get(), writer.get());
  EXPECT_GT(pid_, 0);
}

TenderProcess::~TenderProcess() {
  if (pid_ > 0 && !status_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void TenderProcess::Kill(int signal_number) { ::kill(pid_, signal_number); }

void TenderProcess::ReadOutput(absl::Duration timeout) {
  pollfd ready = {output_fd_.get(), POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) <
      1) {
    return;
  }
  char buffer[4096];
  const ssize_t n = ::read(output_fd_.get(), buffer, sizeof(buffer));
  if (n > 0) output_.append(buffer, static_cast<size_t>(n));
}

std::optional<int> TenderProcess::Wait() {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!status_ && absl::Now() < deadline) {
    ReadOutput(absl::Milliseconds(2));
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) continue;
    dumped_core_ = WIFSIGNALED(status) && WCOREDUMP(status);
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return status_;
}

bool TenderProcess::WaitForOutput(const std::string& text) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (output_.find(text) == std::string::npos) {
    if (absl::Now() > deadline) return false;
    ReadOutput(absl::Milliseconds(100));
  }
  return true;
}

const std::string& TenderProcess::Output() {
  if (!status_) return output_;
  size_t before = 0;
  do {
    before = output_.size();
    ReadOutput(absl::ZeroDuration());
  } while (output_.size() != before);
  return output_;
}

TenderResult RunTender(const TenderSpec& spec) {
  TenderProcess process(spec);
  TenderResult result;
  result.status = process.Wait();
  result.output = process.Output();
  return result;
}

std::string Guest(const std::string& file) {
  return BuildDir() + "/guests/" + file;
}

}  // namespace serai::testing
