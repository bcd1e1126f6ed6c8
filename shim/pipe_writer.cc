// SPDX-License-Identifier: Apache-2.0
#include "shim/pipe_writer.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/time/time.h"

namespace serai::shim {
namespace {

// How often a reader is looked for where the kernel tells nothing of its
// coming.
constexpr absl::Duration kReaderPause = absl::Milliseconds(200);

constexpr absl::string_view kWhyLost = "they were not read in time";

}  // namespace

void PipeWriter::Append(absl::string_view bytes) {
  if (finished_) return;
  if (closed()) return lost_.Lose(bytes);
  if (waiting_.empty() && lost_.unreported() == 0) {
    bytes = lost_.AfterLost(bytes);
    size_t written = 0;
    const bool more = WriteSome(bytes, written);
    if (written != 0) mid_line_ = bytes[written - 1] != '\n';
    bytes.remove_prefix(written);
    if (more) return;
    if (closed()) return lost_.Lose(bytes);
  }
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const size_t size =
        newline == absl::string_view::npos ? bytes.size() : newline + 1;
    Keep(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  AwaitRoom();
}

// Once something is lost, everything is until its loss is said: else the reader
// would find gaps that nothing marks.
void PipeWriter::Keep(absl::string_view line) {
  if (lost_.unreported() == 0) {
    line = lost_.AfterLost(line);
    if (line.empty()) return;
    if (waiting_.size() + line.size() <= kMaxBuffered) {
      waiting_.append(line.data(), line.size());
      mid_line_ = line.back() != '\n';
      return;
    }
    // The beginning of this line may stand there.
    if (mid_line_) waiting_.push_back('\n');
    mid_line_ = false;
  }
  lost_.Lose(line);
}

void PipeWriter::ReportLost() {
  if (lost_.unreported() == 0) return;
  if (!finished_ && waiting_.size() > kMaxBuffered / 2) return;
  waiting_ += LossReport(lost_.unreported(), kWhyLost);
  lost_.SetReported();
}

bool PipeWriter::WriteSome(absl::string_view bytes, size_t& written) {
  written = 0;
  while (written < bytes.size()) {
    const ssize_t n =
        ::write(fd_.get(), bytes.data() + written, bytes.size() - written);
    if (n >= 0) {
      written += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      if (errno != EAGAIN && without_reader_ == WithoutReader::kGiveUp) {
        GiveUp();
      }
      return false;
    }
  }
  return true;
}

void PipeWriter::Flush() {
  bool more = true;
  while (more) {
    ReportLost();
    if (waiting_.empty()) break;
    size_t written = 0;
    more = WriteSome(waiting_, written);
    if (closed()) return;
    waiting_.erase(0, written);
  }
  if (waiting_.empty()) {
    waiting_.shrink_to_fit();
    if (!finished_) {
      if (watched_) loop_.Unwatch(fd_.get());
      watched_ = false;
      return;
    }
    if (without_reader_ == WithoutReader::kGiveUp || HasReader()) {
      return End();
    }
  }
  AwaitRoom();
}

bool PipeWriter::HasReader() const {
  pollfd poll = {fd_.get(), POLLOUT, 0};
  return ::poll(&poll, 1, 0) >= 0 && (poll.revents & POLLERR) == 0;
}

// A pipe without a reader is always ready, with an error: that is no waiting.
void PipeWriter::AwaitRoom() {
  if (watched_ && !finished_) return;
  if (!HasReader() && without_reader_ == WithoutReader::kWait) {
    return AwaitReader();
  }
  if (watched_) return;
  const absl::Status status =
      loop_.Watch(fd_.get(), EPOLLOUT, [this](uint32_t) { Flush(); });
  watched_ = status.ok();
  if (!watched_) AwaitReader();
}

void PipeWriter::AwaitReader() {
  if (watched_) loop_.Unwatch(fd_.get());
  watched_ = false;
  if (timer_ != 0) return;
  timer_ = loop_.AddTimer(kReaderPause, [this] {
    timer_ = 0;
    Flush();
  });
}

void PipeWriter::Finish(std::function<void()> on_closed) {
  if (finished_) return;
  finished_ = true;
  on_closed_ = std::move(on_closed);
  if (closed()) return End();
  Flush();
}

void PipeWriter::GiveUp() {
  lost_.Lose(waiting_);
  waiting_.clear();
  waiting_.shrink_to_fit();
  End();
}

void PipeWriter::End() {
  Close();
  // The last that is done here: it may destroy this object.
  const std::function<void()> on_closed = std::exchange(on_closed_, nullptr);
  if (on_closed) on_closed();
}

void PipeWriter::Close() {
  if (watched_) loop_.Unwatch(fd_.get());
  watched_ = false;
  if (timer_ != 0) loop_.CancelTimer(timer_);
  timer_ = 0;
  fd_.reset();
}

}  // namespace serai::shim
