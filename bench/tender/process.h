// SPDX-License-Identifier: Apache-2.0
#pragma once

// A child process whose output is read and whose times are taken. It is killed
// and reaped when the object goes, and by the kernel when the benchmark ends in
// any other way. Whatever takes longer than kPatience ends the benchmark.

#include <sys/resource.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/unique_fd.h"

namespace serai::bench {

inline constexpr double kPatience = 60;  // seconds

// Ends the benchmark with a message.
[[noreturn]] void Die(const std::string& message);

// Seconds on the monotonic clock.
double Now();

class Process {
 public:
  // Where its output goes: what comes through a pipe is seen at once, but has
  // to be read; a file takes any amount.
  enum class Output { kPipe, kFile };

  // Runs the program words[0].
  explicit Process(const std::vector<std::string>& words,
                   Output output = Output::kPipe);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Waits until `text` is in the output; seconds from the start.
  double WaitForOutput(const std::string& text);
  // Waits for the first byte of output; seconds from the start.
  double WaitForAnyOutput() { return WaitForOutput(""); }
  // Reads all output (of a pipe), waits for the end; seconds from the start.
  // Dies when the status is not `expected`.
  double WaitForEnd(int expected = 0);
  // Kills and reaps.
  void Kill();

  pid_t pid() const { return pid_; }
  const std::string& output() const { return output_; }
  // After the end.
  const rusage& usage() const { return usage_; }
  // Seconds of processor time so far, of all threads.
  double CpuTime() const;

 private:
  // False at the end of the output.
  bool ReadSome(double deadline);
  bool HasEnded() const;
  void Reap();
  [[noreturn]] void Fail(const std::string& what) const;

  std::string command_;
  double start_ = 0;
  pid_t pid_ = -1;
  bool is_pipe_;
  UniqueFd output_fd_;  // our end of the pipe, or the file
  UniqueFd errors_;     // a file with what it wrote to stderr
  std::string output_;
  int status_ = -1;
  rusage usage_ = {};
};

}  // namespace serai::bench
