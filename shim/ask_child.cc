// SPDX-License-Identifier: Apache-2.0
#include "shim/ask_child.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxAnswer = 8 << 20;

[[noreturn]] void RunChild(
    absl::FunctionRef<absl::StatusOr<std::string>()> work, int answer,
    pid_t parent) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) {
    ::_exit(1);
  }
  const absl::StatusOr<std::string> result = work();
  // A code's digits, a space, and the result or the message.
  WriteAll(answer, absl::StrCat(result.status().raw_code(), " ",
                                result.ok() ? absl::string_view(*result)
                                            : result.status().message()))
      .IgnoreError();
  ::_exit(0);
}

absl::StatusOr<std::string> FromText(const std::string& text) {
  const size_t space = text.find(' ');
  int code = 0;
  if (space == std::string::npos ||
      !absl::SimpleAtoi(text.substr(0, space), &code)) {
    return absl::InternalError("a child of the shim died at its work");
  }
  if (code == 0) return text.substr(space + 1);
  return absl::Status(static_cast<absl::StatusCode>(code),
                      text.substr(space + 1));
}

absl::StatusOr<std::string> ReadAnswer(int fd, absl::Time deadline) {
  std::string text;
  for (;;) {
    pollfd ready = {fd, POLLIN, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    const int polled =
        ::poll(&ready, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (polled < 0 && errno == EINTR) continue;
    if (polled < 0) return ErrnoStatus(errno, "poll");
    if (polled == 0) {
      return absl::DeadlineExceededError(
          "a child of the shim took too long for its work");
    }
    std::array<char, 4096> bytes;
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read");
    if (n == 0) return text;
    text.append(bytes.data(), static_cast<size_t>(n));
    if (text.size() > kMaxAnswer) {
      return absl::InternalError("a child of the shim says too much");
    }
  }
}

}  // namespace

absl::StatusOr<std::string> AskChild(
    absl::FunctionRef<absl::StatusOr<std::string>()> work,
    absl::Duration timeout) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) {
    pipe.read_end.reset();
    RunChild(work, pipe.write_end.get(), parent);
  }
  pipe.write_end.reset();
  const absl::StatusOr<std::string> text =
      ReadAnswer(pipe.read_end.get(), absl::Now() + timeout);
  ::kill(pid, SIGKILL);  // not reaped: nobody else's
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  RETURN_IF_ERROR(text.status());
  return FromText(*text);
}

}  // namespace serai::shim
