// SPDX-License-Identifier: Apache-2.0
#include "lib/host/pidfd.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lib/base/deadline.h"
#include "lib/base/file.h"

namespace serai::host {
namespace {

constexpr size_t kStatMaxBytes = 4096;
// Fields of /proc/PID/stat behind the command's closing parenthesis: the state
// is the third field of the line, the start time its 22nd.
constexpr size_t kStartTimeAfterCommand = 22 - 3;

absl::Status NoSuchProcess(pid_t pid) {
  return absl::NotFoundError(absl::StrCat("no process ", pid));
}

}  // namespace

// By system call: glibc 2.36's <sys/pidfd.h> does not link from C++.
absl::StatusOr<Pidfd> Pidfd::Open(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd.valid()) return Pidfd(std::move(fd));
  if (errno == ESRCH) return NoSuchProcess(pid);
  return ErrnoStatus(errno, absl::StrCat("pidfd_open ", pid));
}

absl::Status Pidfd::SendSignal(int signal_number) const {
  if (::syscall(SYS_pidfd_send_signal, fd_.get(), signal_number, nullptr, 0) ==
      0) {
    return absl::OkStatus();
  }
  if (errno == ESRCH) return absl::NotFoundError("the process has ended");
  return ErrnoStatus(errno, absl::StrCat("sending signal ", signal_number));
}

absl::StatusOr<bool> Pidfd::Wait(absl::Duration timeout) const {
  const Deadline deadline(timeout);
  for (;;) {
    pollfd poll_fd = {fd_.get(), POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, deadline.PollTimeout());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "poll pidfd");
    if (ready == 0 && deadline.Passed()) return false;
  }
}

absl::StatusOr<uint64_t> ProcessStartTime(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/stat");
  absl::StatusOr<std::string> stat = ReadFile(path, kStatMaxBytes);
  if (absl::IsNotFound(stat.status())) return NoSuchProcess(pid);
  RETURN_IF_ERROR(stat.status());
  // The command may hold blanks and parentheses of its own: the last one ends
  // it.
  const size_t command_end = stat->rfind(')');
  if (command_end == std::string::npos) {
    return absl::InternalError(absl::StrCat(path, " has no command"));
  }
  const std::vector<std::string> fields = absl::StrSplit(
      stat->substr(command_end + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  uint64_t start_time = 0;
  if (fields.size() <= kStartTimeAfterCommand ||
      !absl::SimpleAtoi(fields[kStartTimeAfterCommand], &start_time)) {
    return absl::InternalError(absl::StrCat(path, " has no start time"));
  }
  return start_time;
}

absl::StatusOr<Pidfd> OpenProcess(pid_t pid, uint64_t start_time) {
  ASSIGN_OR_RETURN(Pidfd process, Pidfd::Open(pid));
  ASSIGN_OR_RETURN(const uint64_t found, ProcessStartTime(pid));
  // Still alive after the reading: so what was read was this process's.
  ASSIGN_OR_RETURN(const bool ended, process.Wait(absl::ZeroDuration()));
  if (ended || found != start_time) {
    return absl::NotFoundError(
        absl::StrCat("process ", pid, " started at ", start_time, " has ended",
                     ended ? "" : ": its pid is another's now"));
  }
  return process;
}

}  // namespace serai::host
