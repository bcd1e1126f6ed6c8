// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a tender says: its standard output (the guest's console) and its
// standard error, from two pipes into the task's output. The end of both is
// kept for those who attach, and that of stderr by itself: it tells why a
// tender ended. A guest that floods gets a bounded share of each turn of the
// loop, then its pipe fills; the tender has it wait a little and then drops
// what nobody reads.

#include <memory>
#include <string>
#include <utility>

#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "shim/console_tail.h"
#include "shim/output.h"

namespace serai::shim {

class Console {
 public:
  static constexpr size_t kMaxTail = 4096;

  // `sink` may be null: what is said is then read and forgotten. Both outlive
  // the console.
  Console(EventLoop& loop, OutputSink* sink)
      : loop_(loop), sink_(sink), recent_(loop) {}
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // The ends for the tender.
  struct WriteEnds {
    UniqueFd output;
    UniqueFd error_output;
  };
  // Makes the pipes and reads them from now on.
  absl::StatusOr<WriteEnds> Open();

  // Takes in what is still in the pipes, finishes the output and closes: the
  // tender has ended.
  void Finish();

  // The last kMaxTail bytes of stderr.
  const std::string& tail() const { return tail_; }

  // The end of both streams, and who waits for more.
  ConsoleTail& recent() { return recent_; }

 private:
  struct Channel {
    UniqueFd fd;
    LogStream stream;
  };

  absl::StatusOr<UniqueFd> OpenChannel(Channel& channel);
  // False when nothing more is there for now, or for ever.
  bool ReadSome(Channel& channel);
  void Close(Channel& channel);

  EventLoop& loop_;
  OutputSink* const sink_;
  Channel output_{UniqueFd(), LogStream::kStdout};
  Channel error_output_{UniqueFd(), LogStream::kStderr};
  std::string tail_;
  ConsoleTail recent_;
};

}  // namespace serai::shim
