// SPDX-License-Identifier: Apache-2.0
#pragma once

// binary:///path: a program of the node's that takes the console. It finds
// stdout at descriptor 3, stderr at 4, at 5 a pipe that it closes when it is
// ready (after a byte, as binary-v2 demands), and the environment variables
// CONTAINER_ID and CONTAINER_NAMESPACE alone. A logger that is slow or has
// ended costs lines, never the guest's time (pipe_writer.h).
//
// At the task's end it reads the end of both streams, has a while to end by
// itself, is then asked to (SIGTERM) and a little later killed: by the loop
// also after the sink is gone, and at the loop's end.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "shim/output.h"
#include "shim/pipe_writer.h"

namespace serai::shim {

class LoggerProcess;

struct LoggerCommand {
  std::string program;
  std::vector<std::string> args;
  std::string container_id;
  std::string ns;
  bool must_say_ready = false;  // binary-v2
};

struct LoggerPatience {
  absl::Duration ready = absl::Seconds(5);  // with its start
  absl::Duration end = absl::Seconds(10);   // with its end
  absl::Duration term = absl::Seconds(2);   // after SIGTERM; at the loop's end
};

class BinaryLogger : public OutputSink {
 public:
  // Starts the program and waits until it is ready. FAILED_PRECONDITION when it
  // can't be started or ends before; DEADLINE_EXCEEDED, and it is killed, when
  // it takes too long. Nothing else of the shim goes on meanwhile.
  static absl::StatusOr<std::unique_ptr<OutputSink>> Start(
      EventLoop& loop, const LoggerCommand& command,
      const LoggerPatience& patience = {});
  ~BinaryLogger() override;

  void Append(LogStream stream, absl::string_view bytes) override;
  void Finish() override;
  absl::Status Reopen() override;
  absl::Status Discard() override { return absl::OkStatus(); }
  uint64_t dropped() const override;

 private:
  BinaryLogger(EventLoop& loop, std::shared_ptr<LoggerProcess> process,
               UniqueFd output, UniqueFd error_output);

  const std::shared_ptr<LoggerProcess> process_;
  std::array<PipeWriter, 2> writers_;  // by stream
};

}  // namespace serai::shim
