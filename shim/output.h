// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the console of a task goes: what containerd and seraid name as stdout
// and stderr of a new task, in the forms that containerd's own shim takes, and
// ours:
//
//   (nothing)                    read and forgotten
//   /path                        a FIFO, or a file: as it comes, one per stream
//   file:///path                 a file, made with its directories
//   binary:///path?key=value     a program that reads both streams
//   binary-v2:///path?key=value  the same; it has to say that it is ready
//   cri:///path                  a file in the CRI log format (cri_log.h)
//
// Used by the shim's loop only.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "proto/task/task.pb.h"

namespace serai::shim {

enum class LogStream { kStdout, kStderr };

class OutputSink {
 public:
  virtual ~OutputSink() = default;

  // Takes in what a process wrote, and never waits. What can neither be written
  // nor kept is lost, whole lines where possible, and counted; how many is said
  // in their place as soon as something can be written again.
  virtual void Append(LogStream stream, absl::string_view bytes) = 0;

  // No more will come: unfinished lines are written, and a reader sees the end
  // when it has read everything. What it has not read then is lost with the
  // sink.
  virtual void Finish() = 0;

  // Opens the file anew, for the one there was renamed. On failure nothing has
  // changed. FAILED_PRECONDITION when the output is no file.
  virtual absl::Status Reopen() = 0;

  // Removes what the opening made: the task could not be created.
  virtual absl::Status Discard() = 0;

  // Lines lost since the opening.
  virtual uint64_t dropped() const = 0;
};

// The output that the request asks for; null when it asks for none. Starts a
// logger and waits for it, at most some seconds (binary_logger.h).
// INVALID_ARGUMENT for a form that is none of these. `loop` outlives the sink;
// `ns` is the namespace that a logger is told.
absl::StatusOr<std::unique_ptr<OutputSink>> OpenOutput(
    EventLoop& loop, const task::CreateTaskRequest& request,
    absl::string_view ns);

}  // namespace serai::shim
