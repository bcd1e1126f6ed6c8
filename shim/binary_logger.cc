// SPDX-License-Identifier: Apache-2.0
#include "shim/binary_logger.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"
#include "lib/host/pidfd.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

// Where a logger finds its pipes.
constexpr int kFirstFd = 3;
constexpr int kPipes = 3;

// A logger that closes the pipe without a word may be ready or at its end.
constexpr absl::Duration kEndsNow = absl::Milliseconds(10);

// posix_spawn's two objects.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // Descriptors of ours that are not close-on-exec could be there at the
  // daemon's start only; still none is passed on.
  int SetDescriptors(const std::array<int, kPipes>& pipes) {
    int error = 0;
    for (int fd = 0; fd < kFirstFd && error == 0; ++fd) {
      error = ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null",
                                                 O_RDWR, 0);
    }
    int target = kFirstFd;
    for (const int fd : pipes) {
      if (error != 0) return error;
      error = ::posix_spawn_file_actions_adddup2(&actions, fd, target++);
    }
    if (error != 0) return error;
    return ::posix_spawn_file_actions_addclosefrom_np(&actions, target);
  }

  int SetSignals() {
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    int error = ::posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0) error = ::posix_spawnattr_setsigdefault(&attributes, &all);
    if (error != 0) return error;
    return ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                                       POSIX_SPAWN_SETSIGDEF |
                                                       POSIX_SPAWN_SETSID);
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// The pid. The descriptors are moved out of the way first: one may stand where
// another goes.
absl::StatusOr<pid_t> Spawn(const LoggerCommand& command,
                            const std::array<int, kPipes>& pipes) {
  std::array<UniqueFd, kPipes> moved;
  std::array<int, kPipes> numbers = {};
  for (size_t i = 0; i < pipes.size(); ++i) {
    moved[i].reset(::fcntl(pipes[i], F_DUPFD_CLOEXEC, kFirstFd + kPipes));
    if (!moved[i].valid()) return ErrnoStatus(errno, "dup");
    numbers[i] = moved[i].get();
  }
  SpawnPlan plan;
  int error = plan.SetDescriptors(numbers);
  if (error == 0) error = plan.SetSignals();
  if (error != 0) return ErrnoStatus(error, "preparing the logger");

  std::vector<std::string> words = {command.program};
  words.insert(words.end(), command.args.begin(), command.args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string id = absl::StrCat("CONTAINER_ID=", command.container_id);
  std::string ns = absl::StrCat("CONTAINER_NAMESPACE=", command.ns);
  std::array<char*, 3> environment = {id.data(), ns.data(), nullptr};
  pid_t pid = 0;
  error = ::posix_spawn(&pid, command.program.c_str(), &plan.actions,
                        &plan.attributes, argv.data(), environment.data());
  if (error == 0) return pid;
  // NOT_FOUND would say that the task is unknown.
  return absl::FailedPreconditionError(
      ErrnoStatus(error, absl::StrCat("starting logger ", command.program))
          .message());
}

}  // namespace

// Belongs to the loop until it has ended.
class LoggerProcess : public std::enable_shared_from_this<LoggerProcess> {
 public:
  LoggerProcess(EventLoop& loop, pid_t pid, host::Pidfd pidfd,
                const LoggerPatience& patience)
      : loop_(loop), pid_(pid), pidfd_(std::move(pidfd)), patience_(patience) {}

  // The loop has ended, or never knew it.
  ~LoggerProcess() {
    if (ended_) return;
    const absl::StatusOr<bool> ended = pidfd_.Wait(last_patience_);
    if (!ended.ok() || !*ended) Signal(SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  LoggerProcess(const LoggerProcess&) = delete;
  LoggerProcess& operator=(const LoggerProcess&) = delete;

  // Gives it to the loop. Until then its destruction is its end.
  absl::Status Keep() {
    RETURN_IF_ERROR(
        loop_.Watch(pidfd_.fd(), EPOLLIN,
                    [self = shared_from_this()](uint32_t) { self->OnEnd(); }));
    last_patience_ = patience_.term;
    return absl::OkStatus();
  }

  bool EndsWithin(absl::Duration patience) const {
    const absl::StatusOr<bool> ended = pidfd_.Wait(patience);
    return ended.ok() && *ended;
  }

  // Its input is at its end, or soon will be.
  void EndSoon() {
    if (ended_ || timer_ != 0) return;
    timer_ = loop_.AddTimer(patience_.end, [self = shared_from_this()] {
      self->Signal(SIGTERM);
      self->timer_ = self->loop_.AddTimer(self->patience_.term,
                                          [self] { self->Signal(SIGKILL); });
    });
  }

 private:
  void Signal(int number) {
    const absl::Status sent = pidfd_.SendSignal(number);
    if (!sent.ok() && !absl::IsNotFound(sent)) LogWarning(sent.message());
  }

  void OnEnd() {
    const auto self = shared_from_this();
    ended_ = true;
    loop_.Unwatch(pidfd_.fd());
    loop_.CancelTimer(timer_);
    // Whoever reaps all children may have been quicker.
    ::waitpid(pid_, nullptr, WNOHANG);
  }

  EventLoop& loop_;
  const pid_t pid_;
  const host::Pidfd pidfd_;
  bool ended_ = false;
  const LoggerPatience patience_;
  absl::Duration last_patience_ = absl::ZeroDuration();
  EventLoop::TimerId timer_ = 0;
};

namespace {

absl::Status AwaitReady(const LoggerCommand& command, int ready,
                        const LoggerProcess& process, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  pollfd poll = {ready, POLLIN, 0};
  int polled = 0;
  do {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    polled = ::poll(&poll, 1, static_cast<int>(std::max<int64_t>(left, 0)));
  } while (polled < 0 && errno == EINTR);
  if (polled < 0) return ErrnoStatus(errno, "poll");
  if (polled == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("logger ", command.program, " is not ready after ",
                     absl::FormatDuration(patience)));
  }
  char byte = 0;
  if (::read(ready, &byte, 1) == 1) return absl::OkStatus();
  if (command.must_say_ready || process.EndsWithin(kEndsNow)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "logger ", command.program, " did not say that it is ready"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Pipe> MakeLogPipe() {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  if (::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "fcntl");
  }
  return pipe;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutputSink>> BinaryLogger::Start(
    EventLoop& loop, const LoggerCommand& command,
    const LoggerPatience& patience) {
  ASSIGN_OR_RETURN(Pipe output, MakeLogPipe());
  ASSIGN_OR_RETURN(Pipe error_output, MakeLogPipe());
  ASSIGN_OR_RETURN(Pipe ready, MakePipe());
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(command, {output.read_end.get(),
                                                    error_output.read_end.get(),
                                                    ready.write_end.get()}));
  ready.write_end.reset();
  absl::StatusOr<host::Pidfd> pidfd = host::Pidfd::Open(pid);
  if (!pidfd.ok()) {
    // Our child, and not reaped.
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return pidfd.status();
  }
  const auto process =
      std::make_shared<LoggerProcess>(loop, pid, *std::move(pidfd), patience);
  // The shim is the last to be killed for memory: not so its loggers.
  const absl::Status adjusted =
      WriteControlFile(absl::StrCat("/proc/", pid, "/oom_score_adj"), "0");
  if (!adjusted.ok()) LogWarning(adjusted.message());
  RETURN_IF_ERROR(
      AwaitReady(command, ready.read_end.get(), *process, patience.ready));
  RETURN_IF_ERROR(process->Keep());
  return std::unique_ptr<OutputSink>(
      new BinaryLogger(loop, process, std::move(output.write_end),
                       std::move(error_output.write_end)));
}

BinaryLogger::BinaryLogger(EventLoop& loop,
                           std::shared_ptr<LoggerProcess> process,
                           UniqueFd output, UniqueFd error_output)
    : process_(std::move(process)),
      writers_{PipeWriter(loop, std::move(output),
                          PipeWriter::WithoutReader::kGiveUp),
               PipeWriter(loop, std::move(error_output),
                          PipeWriter::WithoutReader::kGiveUp)} {}

BinaryLogger::~BinaryLogger() { process_->EndSoon(); }

void BinaryLogger::Append(LogStream stream, absl::string_view bytes) {
  writers_[stream == LogStream::kStdout ? 0 : 1].Append(bytes);
}

void BinaryLogger::Finish() {
  for (PipeWriter& writer : writers_) writer.Finish();
  process_->EndSoon();
}

absl::Status BinaryLogger::Reopen() {
  return absl::FailedPreconditionError("the task's output is no log file");
}

uint64_t BinaryLogger::dropped() const {
  return writers_[0].dropped() + writers_[1].dropped();
}

}  // namespace serai::shim
