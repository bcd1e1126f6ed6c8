// SPDX-License-Identifier: Apache-2.0
#pragma once

// One stream of lines into a pipe whose reader may be slow, away or gone: what
// the pipe does not take waits in a bounded buffer; then lines are lost, whole
// ones where possible, and a line in their place says how many as soon as half
// of the buffer is free again. Never waits, and never raises SIGPIPE (which the
// shim ignores). Used by the shim's loop only.

#include <functional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "lib/base/event_loop.h"
#include "lib/base/unique_fd.h"
#include "shim/lost_lines.h"

namespace serai::shim {

class PipeWriter {
 public:
  static constexpr size_t kMaxBuffered = 32 * 1024;

  // What a pipe without a reader means: one may come, or none will.
  enum class WithoutReader { kWait, kGiveUp };

  // `fd` is the write end, non-blocking. `loop` outlives the writer.
  PipeWriter(EventLoop& loop, UniqueFd fd, WithoutReader without_reader)
      : loop_(loop), fd_(std::move(fd)), without_reader_(without_reader) {}
  ~PipeWriter() { Close(); }
  PipeWriter(const PipeWriter&) = delete;
  PipeWriter& operator=(const PipeWriter&) = delete;

  void Append(absl::string_view bytes);

  // No more will come: the pipe is closed as soon as everything is in it and,
  // where readers are waited for, one is there. `on_closed` is then called,
  // maybe at once; not when the writer is destroyed before.
  void Finish(std::function<void()> on_closed = nullptr);

  bool closed() const { return !fd_.valid(); }
  uint64_t dropped() const { return lost_.total(); }

 private:
  // Writes what waits, as far as it goes, and sees to it that the rest follows.
  void Flush();
  // False when nothing more can be written now.
  bool WriteSome(absl::string_view bytes, size_t& written);
  void Keep(absl::string_view line);
  void ReportLost();
  bool HasReader() const;
  void AwaitRoom();
  void AwaitReader();
  void GiveUp();
  void End();
  void Close();

  EventLoop& loop_;
  UniqueFd fd_;
  const WithoutReader without_reader_;
  std::string waiting_;    // accepted, not in the pipe yet
  bool mid_line_ = false;  // what was accepted does not end with a newline
  bool watched_ = false;
  bool finished_ = false;
  EventLoop::TimerId timer_ = 0;  // 0: none
  LostLines lost_;
  std::function<void()> on_closed_;
};

}  // namespace serai::shim
