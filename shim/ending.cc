// SPDX-License-Identifier: Apache-2.0
#include "shim/ending.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "lib/base/pipe.h"
#include "nlohmann/json.hpp"

namespace serai::shim {
namespace {

constexpr size_t kChunk = 4096;
// More than a pipe holds: a bound for what is drained at the end.
constexpr int kMaxFinalChunks = 32;

constexpr std::pair<Ending, absl::string_view> kNames[] = {
    {Ending::kExit, "exit"},           {Ending::kAbort, "abort"},
    {Ending::kViolation, "violation"}, {Ending::kFailure, "failure"},
    {Ending::kSignal, "signal"},       {Ending::kFault, "fault"},
    {Ending::kSeccomp, "seccomp"},     {Ending::kKilled, "killed"},
};

// What the line says; "killed" where it says nothing that is known.
Ending EndingIn(absl::string_view line) {
  const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr,
                                          /*allow_exceptions=*/false);
  if (!json.is_object()) return Ending::kKilled;
  const auto end = json.find("end");
  if (end == json.end() || !end->is_string()) return Ending::kKilled;
  for (const auto& [ending, name] : kNames) {
    if (end->get_ref<const std::string&>() == name) return ending;
  }
  return Ending::kKilled;
}

Ending EndingBySignal(int signal_number) {
  switch (signal_number) {
    case SIGSYS:
      return Ending::kSeccomp;
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
      return Ending::kFault;
    default:
      return Ending::kKilled;
  }
}

}  // namespace

absl::string_view EndingName(Ending ending) {
  for (const auto& [one, name] : kNames) {
    if (one == ending) return name;
  }
  return "";
}

Ending EndingOf(int wait_status, absl::string_view line) {
  if (WIFSIGNALED(wait_status)) return EndingBySignal(WTERMSIG(wait_status));
  switch (const Ending said = EndingIn(line)) {
    case Ending::kAbort:
    case Ending::kViolation:
    case Ending::kFailure:
    case Ending::kSignal:
      return said;
    default:  // an exit says nothing more, and a guest may end without a line
      return Ending::kExit;
  }
}

StatusPipe::~StatusPipe() { Close(); }

absl::StatusOr<UniqueFd> StatusPipe::Open() {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  fd_ = std::move(pipe.read_end);
  if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "fcntl");
  }
  RETURN_IF_ERROR(loop_.Watch(fd_.get(), EPOLLIN, [this](uint32_t events) {
    if (!ReadSome() && (events & EPOLLHUP) != 0) Close();
  }));
  return std::move(pipe.write_end);
}

bool StatusPipe::ReadSome() {
  std::array<char, kChunk> chunk;
  const ssize_t n = ::read(fd_.get(), chunk.data(), chunk.size());
  if (n <= 0) return false;
  for (const char c : absl::string_view(chunk.data(), static_cast<size_t>(n))) {
    if (c == '\n') {
      TakeLine();
    } else if (line_.size() <= kMaxLine) {
      line_.push_back(c);
    }
  }
  return true;
}

void StatusPipe::TakeLine() {
  const std::string line = std::exchange(line_, "");
  if (line.size() > kMaxLine) return;
  last_line_ = line;
  if (on_line_) on_line_(line);
}

void StatusPipe::Finish() {
  for (int i = 0; fd_.valid() && i < kMaxFinalChunks && ReadSome(); ++i) {
  }
  Close();
}

void StatusPipe::Close() {
  if (!fd_.valid()) return;
  loop_.Unwatch(fd_.get());
  fd_.reset();
}

}  // namespace serai::shim
