// SPDX-License-Identifier: Apache-2.0
#include "bench/tender/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>

namespace serai::bench {
namespace {

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += word + " ";
  return joined;
}

}  // namespace

void Die(const std::string& message) {
  std::fprintf(stderr, "tender: %s\n", message.c_str());
  std::exit(1);
}

double Now() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

Process::Process(const std::vector<std::string>& words, Output output_kind)
    : command_(Join(words)),
      is_pipe_(output_kind == Output::kPipe),
      errors_(::memfd_create("stderr", MFD_CLOEXEC)) {
  std::array<int, 2> ends = {-1, -1};
  if (is_pipe_) {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) Die("pipe2");
  } else {
    ends[0] = ::memfd_create("stdout", MFD_CLOEXEC);
    ends[1] = ::fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
  }
  output_fd_.reset(ends[0]);
  const UniqueFd output(ends[1]);
  std::vector<char*> argv;
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  start_ = Now();
  // Unlike fork, it does not make the child pay for the parent's size. Nothing
  // but system calls in the child.
  pid_ = ::vfork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(output.get(), STDOUT_FILENO);
    ::dup2(errors_.get(), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  if (pid_ < 0) Die("vfork");
}

Process::~Process() { Kill(); }

void Process::Fail(const std::string& what) const {
  std::array<char, 1024> errors = {};
  [[maybe_unused]] const ssize_t ignored =
      ::pread(errors_.get(), errors.data(), errors.size() - 1, 0);
  Die(command_ + ": " + what + "\n" + output_.substr(0, 1024) + errors.data());
}

bool Process::HasEnded() const {
  siginfo_t info = {};
  ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  return info.si_pid != 0;
}

bool Process::ReadSome(double deadline) {
  std::array<char, 65536> buffer;
  if (!is_pipe_) {
    if (Now() > deadline) Fail("takes too long");
    const ssize_t size = ::pread(output_fd_.get(), buffer.data(), buffer.size(),
                                 static_cast<off_t>(output_.size()));
    if (size > 0) output_.append(buffer.data(), static_cast<size_t>(size));
    if (size == 0) ::usleep(1000);
    return size > 0 || !HasEnded();
  }
  pollfd waited = {output_fd_.get(), POLLIN, 0};
  const double left = deadline - Now();
  if (left <= 0 || ::poll(&waited, 1, static_cast<int>(left * 1000)) <= 0) {
    Fail("takes too long");
  }
  const ssize_t size = ::read(output_fd_.get(), buffer.data(), buffer.size());
  if (size <= 0) return false;
  output_.append(buffer.data(), static_cast<size_t>(size));
  return true;
}

double Process::WaitForOutput(const std::string& text) {
  const double deadline = Now() + kPatience;
  while (output_.empty() || output_.find(text) == std::string::npos) {
    if (!ReadSome(deadline)) Fail("ended without '" + text + "'");
  }
  return Now() - start_;
}

double Process::WaitForEnd(int expected) {
  const double deadline = Now() + kPatience;
  while (ReadSome(deadline)) {
  }
  Reap();
  const double end = Now() - start_;
  if (status_ != expected << 8) Fail("ended badly");
  return end;
}

void Process::Reap() {
  while (::wait4(pid_, &status_, 0, &usage_) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void Process::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  Reap();
}

double Process::CpuTime() const {
  const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
  DIR* const directory = ::opendir(tasks.c_str());
  if (directory == nullptr) return 0;
  double nanoseconds = 0;
  while (const dirent* entry = ::readdir(directory)) {
    double time = 0;
    std::ifstream(tasks + "/" + entry->d_name + "/schedstat") >> time;
    nanoseconds += time;
  }
  ::closedir(directory);
  return nanoseconds * 1e-9;
}

}  // namespace serai::bench
