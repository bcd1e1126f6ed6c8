// SPDX-License-Identifier: Apache-2.0
#include "shim/child_call.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxAnswer = 16 * 1024;

struct PendingCall {
  UniqueFd answer;
  std::string text;
  std::function<void(const absl::StatusOr<std::string>&)> done;
};

// Closes all but standard input and outputs and `kept`; -1: none.
void CloseOthers(int kept) {
  const auto close_range = [](int first, unsigned last) {
    ::syscall(SYS_close_range, static_cast<unsigned>(first), last, 0);
  };
  if (kept > STDERR_FILENO + 1) {
    close_range(STDERR_FILENO + 1, static_cast<unsigned>(kept) - 1);
  }
  close_range(std::max(kept, STDERR_FILENO) + 1, ~0U);
}

void PrepareChild(int kept) {
  CloseOthers(kept);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::alarm(static_cast<unsigned>(absl::ToInt64Seconds(kChildCallTimeout)));
}

// An answer is a code's digits, a space, and the result or the message.
std::string ToText(const absl::StatusOr<std::string>& result) {
  return absl::StrCat(
      result.status().raw_code(), " ",
      result.ok() ? absl::string_view(*result) : result.status().message());
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

// Whether there may be more.
bool ReadMore(PendingCall& call) {
  std::array<char, 4096> bytes;
  const ssize_t n = ::read(call.answer.get(), bytes.data(), bytes.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  call.text.append(bytes.data(), static_cast<size_t>(n));
  return n > 0 && call.text.size() < kMaxAnswer;
}

}  // namespace

absl::Status CallInChild(
    EventLoop& loop, const ChildWork& work,
    std::function<void(const absl::StatusOr<std::string>&)> done) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  auto call = std::make_shared<PendingCall>();
  call->done = std::move(done);
  call->answer = std::move(pipe.read_end);
  if (::fcntl(call->answer.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "fcntl");
  }
  RETURN_IF_ERROR(
      loop.Watch(call->answer.get(), EPOLLIN, [&loop, call](uint32_t) {
        // Kept while the loop forgets it.
        const std::shared_ptr<PendingCall> kept = call;
        if (ReadMore(*kept)) return;
        loop.Unwatch(kept->answer.get());
        kept->done(FromText(kept->text));
      }));
  const pid_t pid = ::fork();
  if (pid == 0) {
    PrepareChild(pipe.write_end.get());
    WriteAll(pipe.write_end.get(), ToText(work())).IgnoreError();
    ::_exit(0);
  }
  if (pid > 0) return absl::OkStatus();
  const absl::Status status = ErrnoStatus(errno, "fork");
  loop.Unwatch(call->answer.get());
  return status;
}

absl::Status LeaveToChild(const std::string& what,
                          const std::function<absl::Status()>& work) {
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid > 0) return absl::OkStatus();
  PrepareChild(-1);
  const absl::Status status = work();
  if (!status.ok()) LogWarning(absl::StrCat(what, ": ", status.message()));
  ::_exit(0);
}

}  // namespace serai::shim
