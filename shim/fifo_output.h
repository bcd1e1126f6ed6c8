// SPDX-License-Identifier: Apache-2.0
#pragma once

// A FIFO that containerd, or whoever made the task, reads. Its reader may be
// slow, may end and come back (containerd killed and restarted): meanwhile the
// pipe holds what it has not read (64 KiB), a buffer as much again, and then
// lines are lost and counted (pipe_writer.h).
//
// While the task runs the reading end is held here as well, so that neither the
// pipe's content nor its end depends on another reader. After the task's end
// only the writing end is: the pipe keeps its content until a reader has come
// for it, or the sink is destroyed.

#include <memory>
#include <string>
#include <utility>

#include "shim/output.h"
#include "shim/pipe_writer.h"

namespace serai::shim {

class FifoOutput : public OutputSink {
 public:
  // INVALID_ARGUMENT when the path is no FIFO. For a `terminal`, lines end as a
  // terminal has it, with \r\n.
  static absl::StatusOr<std::unique_ptr<OutputSink>> Open(
      EventLoop& loop, const std::string& path, bool terminal);

  void Append(LogStream stream, absl::string_view bytes) override;
  void Finish() override;
  absl::Status Reopen() override;
  absl::Status Discard() override { return absl::OkStatus(); }
  uint64_t dropped() const override { return writer_.dropped(); }

 private:
  FifoOutput(EventLoop& loop, UniqueFd write_end, UniqueFd hold, bool terminal)
      : hold_(std::move(hold)),
        terminal_(terminal),
        writer_(loop, std::move(write_end), PipeWriter::WithoutReader::kWait) {}

  UniqueFd hold_;  // reads and writes; until Finish()
  const bool terminal_;
  PipeWriter writer_;
};

}  // namespace serai::shim
