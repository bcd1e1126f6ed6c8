// SPDX-License-Identifier: Apache-2.0
#include "lib/base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/string_view.h"
#include "lib/base/deadline.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"
#include "lib/base/unique_fd.h"

namespace serai {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& s : strings) result.push_back(s.data());
  result.push_back(nullptr);
  return result;
}

// A file with no name that holds `input`, at its start. Unlike a pipe it needs
// no feeding, and no SIGPIPE comes of a program that does not read it.
absl::StatusOr<UniqueFd> InputFile(absl::string_view input) {
  UniqueFd fd(::memfd_create("stdin", MFD_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "memfd_create");
  RETURN_IF_ERROR(WriteAll(fd.get(), input));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return ErrnoStatus(errno, "lseek");
  return fd;
}

constexpr int kFirstDescriptor = 3;
constexpr int kCancelPollMilliseconds = 100;

// Copies of descriptors above all numbers that they are to have in the program:
// to put one in its place closes none that is still to be placed.
absl::StatusOr<std::vector<UniqueFd>> CopiesAbove(
    const std::vector<int>& descriptors) {
  const int lowest = kFirstDescriptor + static_cast<int>(descriptors.size());
  std::vector<UniqueFd> copies;
  for (const int fd : descriptors) {
    copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, lowest));
    if (!copies.back().valid()) return ErrnoStatus(errno, "fcntl(F_DUPFD)");
  }
  return copies;
}

absl::StatusOr<pid_t> Spawn(const SubprocessSpec& spec, int in, int out,
                            int err) {
  ASSIGN_OR_RETURN(const std::vector<UniqueFd> copies,
                   CopiesAbove(spec.descriptors));
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  const absl::Cleanup destroy = [&] {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  };
  ::posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  for (size_t i = 0; i < copies.size(); ++i) {
    ::posix_spawn_file_actions_adddup2(&actions, copies[i].get(),
                                       kFirstDescriptor + static_cast<int>(i));
  }
  if (!spec.directory.empty()) {
    ::posix_spawn_file_actions_addchdir_np(&actions, spec.directory.c_str());
  }
  // The daemon blocks and ignores signals; the program starts with none of it.
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);

  std::vector<std::string> args = {spec.program};
  args.insert(args.end(), spec.args.begin(), spec.args.end());
  std::vector<std::string> env = spec.env;
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, spec.program.c_str(), &actions, &attributes,
                    Pointers(args).data(), Pointers(env).data());
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("starting ", spec.program));
  }
  return pid;
}

// One of the child's outputs; `fd` is closed when it has ended.
struct Channel {
  UniqueFd fd;
  std::string* sink = nullptr;
};

// Reads what is there. False at end of file or error: the channel is done.
bool Drain(Channel& channel, size_t max_output, bool& too_much) {
  std::array<char, 16 * 1024> chunk;
  for (;;) {
    const ssize_t n = ::read(channel.fd.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    if (channel.sink->size() + static_cast<size_t>(n) > max_output) {
      too_much = true;
      return false;
    }
    channel.sink->append(chunk.data(), static_cast<size_t>(n));
  }
}

int ExitCode(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                  : WEXITSTATUS(wait_status);
}

void SetNonBlocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Takes in what the child says until it has ended (its pidfd is readable).
absl::Status Listen(const SubprocessSpec& spec, int pidfd, Channel& out,
                    Channel& err) {
  const Deadline deadline(spec.timeout);
  bool too_much = false;
  for (bool ended = false; !ended;) {
    std::array<pollfd, 3> fds = {{{pidfd, POLLIN, 0},
                                  {out.fd.get(), POLLIN, 0},
                                  {err.fd.get(), POLLIN, 0}}};
    const bool passed = deadline.Passed();
    const int left = deadline.PollTimeout();
    const int wait =
        spec.cancelled ? std::min(left, kCancelPollMilliseconds) : left;
    const int ready = passed ? 0 : ::poll(fds.data(), fds.size(), wait);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return ErrnoStatus(errno, "poll");
    if (spec.cancelled && spec.cancelled()) {
      return absl::CancelledError(
          absl::StrCat(spec.program, ": cancelled, killed"));
    }
    if (ready == 0 && !passed) continue;
    if (ready == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat(spec.program, ": not finished after ",
                       absl::FormatDuration(spec.timeout), ", killed"));
    }
    ended = fds[0].revents != 0;
    for (Channel* channel : {&out, &err}) {
      if (channel->fd.valid() && !Drain(*channel, spec.max_output, too_much)) {
        channel->fd.reset();
      }
    }
    if (too_much) {
      return absl::OutOfRangeError(
          absl::StrCat(spec.program, ": printed more than ", spec.max_output,
                       " bytes, killed"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessSpec& spec) {
  ASSIGN_OR_RETURN(const UniqueFd in, InputFile(spec.input));
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(spec, in.get(), out.write_end.get(),
                                          err.write_end.get()));
  out.write_end.reset();
  err.write_end.reset();
  SetNonBlocking(out.read_end.get());
  SetNonBlocking(err.read_end.get());

  SubprocessResult result;
  Channel output{std::move(out.read_end), &result.output};
  Channel error_output{std::move(err.read_end), &result.error_output};
  // The child is ours and not yet reaped: its pid can't be another's.
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  absl::Status status = pidfd.valid()
                            ? Listen(spec, pidfd.get(), output, error_output)
                            : ErrnoStatus(errno, "pidfd_open");
  if (!status.ok()) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);  // it may have left its group
  }
  int wait_status = 0;
  while (::waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  RETURN_IF_ERROR(status);
  result.exit_code = ExitCode(wait_status);
  return result;
}

}  // namespace serai
