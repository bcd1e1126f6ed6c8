// SPDX-License-Identifier: Apache-2.0
#pragma once

// Why a tender ended: the JSON lines of its status descriptor (tender/report.h)
// taken together with its wait status. The lines come from a process that holds
// a hostile guest, so the wait status has the last word.

#include <functional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::shim {

// In the words of the tender, and "killed" for a signal from outside.
enum class Ending {
  kExit,       // the guest ended itself
  kAbort,      // it gave up (status 255)
  kViolation,  // it broke the ABI
  kFailure,    // the tender could not go on
  kSignal,     // it was asked to end
  kFault,      // an spt guest's fault
  kSeccomp,    // a system call that is not allowed
  kKilled,
};

absl::string_view EndingName(Ending ending);

// `line` is the last that the tender wrote; empty where there is none.
Ending EndingOf(int wait_status, absl::string_view line);

// The reading end of one tender's status descriptor.
class StatusPipe {
 public:
  using OnLine = std::function<void(absl::string_view line)>;

  // `on_line` is given each whole line, without its newline; may be null.
  explicit StatusPipe(EventLoop& loop, OnLine on_line = nullptr)
      : loop_(loop), on_line_(std::move(on_line)) {}
  ~StatusPipe();
  StatusPipe(const StatusPipe&) = delete;
  StatusPipe& operator=(const StatusPipe&) = delete;

  // Makes the pipe, reads it from now on and returns the tender's end.
  absl::StatusOr<UniqueFd> Open();

  // Takes in what is still there and closes: the tender has ended.
  void Finish();

  // The last whole line. Longer ones than kMaxLine, which holds the counters of
  // a guest with as many devices as there can be, are forgotten.
  static constexpr size_t kMaxLine = 24 * 1024;
  const std::string& last_line() const { return last_line_; }

 private:
  bool ReadSome();
  void TakeLine();
  void Close();

  EventLoop& loop_;
  const OnLine on_line_;
  UniqueFd fd_;
  std::string line_;  // the beginning of one that is not whole yet
  std::string last_line_;
};

}  // namespace serai::shim
