// SPDX-License-Identifier: Apache-2.0
#pragma once

// The built serai-tender as a child process, started as the shim does it or
// worse: with descriptors in fixed places, as the first process of a PID
// namespace, with no files and no privileges. Killed and reaped when the object
// goes.

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

struct TenderSpec {
  std::vector<std::string> args;
  // Descriptors of the child (at least 3) to those of this process. It gets no
  // others.
  std::map<int, int> fds;
  int stdout_fd = -1;                   // -1: a pipe that Output() reads
  bool first_of_pid_namespace = false;  // needs root
  // Root directory empty, all users and capabilities given up. Needs root.
  bool with_nothing = false;
  std::string directory;  // its working directory; empty: this process's
  // Runs in the child just before the exec; false fails the start.
  std::function<bool()> prepare;
};

class TenderProcess {
 public:
  explicit TenderProcess(const TenderSpec& spec);
  ~TenderProcess();
  TenderProcess(const TenderProcess&) = delete;
  TenderProcess& operator=(const TenderProcess&) = delete;

  // Waits for the end: the exit status, or 128 + n after signal n; nullopt when
  // that takes longer than half a minute.
  std::optional<int> Wait();
  // Whether the end, which came, left a core dump.
  bool dumped_core() const { return dumped_core_; }
  void Kill(int signal_number);
  pid_t pid() const { return pid_; }
  // Waits until stdout and stderr together contain `text`.
  bool WaitForOutput(const std::string& text);
  // All that came on stdout and stderr; complete after Wait().
  const std::string& Output();

 private:
  void ReadOutput(absl::Duration timeout);

  pid_t pid_ = -1;
  std::optional<int> status_;
  bool dumped_core_ = false;
  UniqueFd output_fd_;
  std::string output_;
};

struct TenderResult {
  std::optional<int> status;
  std::string output;
};
TenderResult RunTender(const TenderSpec& spec);

// The path of a guest in the build tree: Guest("hello.hvt").
std::string Guest(const std::string& file);

}  // namespace serai::testing
