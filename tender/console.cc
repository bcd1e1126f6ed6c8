// SPDX-License-Identifier: Apache-2.0
#include "tender/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

#include "tender/line.h"
#include "tender/reopen.h"

namespace serai::tender {
namespace {

int64_t NowInMilliseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

bool IsNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

// Replaces the open file behind `fd` by another one of the same pipe or
// terminal that does not block. The one that others share stays as it is.
bool ReplaceByNonBlocking(int fd) {
  const int own = Reopen(fd, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  if (own < 0) return false;
  const bool replaced = ::dup3(own, fd, O_CLOEXEC) == fd;
  ::close(own);
  return replaced;
}

bool IsTerminal(int fd, const struct stat& status) {
  return S_ISCHR(status.st_mode) && ::isatty(fd) == 1;
}

}  // namespace

bool KeepFromBlocking(int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0 || IsNonBlocking(fd)) return true;
  if (S_ISFIFO(status.st_mode) || IsTerminal(fd, status)) {
    return ReplaceByNonBlocking(fd);
  }
  // A file or the like never waits for a reader. A socket cannot be reopened.
  return !S_ISSOCK(status.st_mode);
}

Console::Console(int fd, std::span<uint8_t> buffer, Counters* counters)
    : fd_(fd),
      piece_(SSIZE_MAX),
      ask_(false),
      buffer_(buffer),
      counters_(counters) {
  if (KeepFromBlocking(fd)) return;
  // A writable pipe or socket has room for this much, a terminal for a
  // character.
  ask_ = true;
  piece_ = ::isatty(fd) == 1 ? 1 : PIPE_BUF;
}

void Console::Write(const uint8_t* data, size_t size) {
  counters_->console_bytes += size;
  Drain();
  if (stalled_) return Lose(size);
  if (lost_ > 0) {
    SayWhatIsLost();
    DrainBuffer();
  }
  while (size_ == 0 && size > 0 && state_ == State::kReady) {
    const size_t n = WriteSome(data, size);
    data += n;
    size -= n;
  }
  if (state_ == State::kFailed) return Lose(size);
  const size_t n = Append(data, size);
  data += n;
  size -= n;
  if (size > 0) WaitToAppend(&data, &size);
  if (size == 0) return;
  stalled_ = state_ == State::kBlocked;
  Lose(size);
}

// The buffer is full: gives the reader one chance.
void Console::WaitToAppend(const uint8_t** data, size_t* size) {
  const int64_t deadline = NowInMilliseconds() + kPatience;
  while (*size > 0 && state_ != State::kFailed) {
    const int64_t left = deadline - NowInMilliseconds();
    pollfd wait = {fd_, POLLOUT, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) == 0) return;
    state_ = State::kReady;
    DrainBuffer();
    const size_t n = Append(*data, *size);
    *data += n;
    *size -= n;
  }
}

void Console::Drain() {
  state_ = State::kReady;
  DrainBuffer();
  if (stalled_ && size_ == 0) {
    stalled_ = false;
    if (state_ == State::kReady) {
      SayWhatIsLost();
      DrainBuffer();
    }
  }
}

void Console::DrainBuffer() {
  while (size_ > 0 && state_ == State::kReady) {
    const size_t contiguous = std::min(size_, buffer_.size() - start_);
    const size_t n = WriteSome(buffer_.data() + start_, contiguous);
    start_ = (start_ + n) % buffer_.size();
    size_ -= n;
    notice_left_ -= std::min(n, notice_left_);
  }
  if (state_ == State::kFailed) DropBuffer();
}

bool Console::CanWrite() const {
  pollfd ready = {fd_, POLLOUT, 0};
  return ::poll(&ready, 1, 0) == 1;
}

// How much of `data` the descriptor took; sets the state where that is not all
// it was offered.
size_t Console::WriteSome(const uint8_t* data, size_t size) {
  if (ask_ && !CanWrite()) {
    state_ = State::kBlocked;
    return 0;
  }
  ssize_t n = 0;
  do {
    n = ::write(fd_, data, std::min(size, piece_));
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    at_line_start_ = data[n - 1] == '\n';
    return static_cast<size_t>(n);
  }
  state_ = n < 0 && errno == EAGAIN ? State::kBlocked : State::kFailed;
  return 0;
}

// How much of `data` there was room for.
size_t Console::Append(const uint8_t* data, size_t size) {
  const size_t taken = std::min(size, buffer_.size() - size_);
  const size_t at = (start_ + size_) % buffer_.size();
  const size_t first = std::min(taken, buffer_.size() - at);
  std::memcpy(buffer_.data() + at, data, first);
  std::memcpy(buffer_.data(), data + first, taken - first);
  size_ += taken;
  return taken;
}

void Console::Lose(size_t size) {
  counters_->console_lost += size;
  lost_ += size;
}

void Console::DropBuffer() {
  if (notice_left_ > 0) lost_ += notice_lost_;
  Lose(size_ - notice_left_);
  size_ = 0;
  notice_left_ = 0;
}

// Goes where the lost output would have stood: before all that follows.
void Console::SayWhatIsLost() {
  char text[kMinBuffer];
  Line line(text);
  line.Text(at_line_start_ ? "" : "\n")
      .Text("[serai: ")
      .Number(lost_)
      .Text(" bytes of console output lost]\n");
  const std::string_view notice = line.text();
  notice_left_ =
      Append(reinterpret_cast<const uint8_t*>(notice.data()), notice.size());
  notice_lost_ = lost_;
  lost_ = 0;
}

void Console::Finish() {
  Drain();
  const int64_t deadline = NowInMilliseconds() + kLastPatience;
  while (is_pending() && !stalled_) {
    const int64_t left = deadline - NowInMilliseconds();
    pollfd wait = {fd_, POLLOUT, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) == 0) break;
    Drain();
  }
  DropBuffer();
}

void HoldStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    // The lowest free place is this one, since those below are taken. It stays
    // free where even that fails, as it was.
    if (::fcntl(fd, F_GETFD) < 0) ::open("/", O_PATH | O_CLOEXEC);
  }
}

}  // namespace serai::tender
