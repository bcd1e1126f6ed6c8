// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's console: a bounded buffer before a descriptor that is never
// written to where that could block. A reader that is slow slows the guest
// down; one that takes nothing for a while costs it output, not its life. What
// is lost is counted, and a line in the stream says so once output goes again.
// Errors of the descriptor lose output as well.

#include <cstddef>
#include <cstdint>
#include <span>

#include "tender/counters.h"

namespace serai::tender {

class Console {
 public:
  // How long the guest waits, in all, when the buffer is full, before its
  // output is dropped until the buffer has run empty. Milliseconds.
  static constexpr int kPatience = 100;
  // How long the end waits for the rest to be taken.
  static constexpr int kLastPatience = 1000;

  // Borrows all; `buffer` holds at least kMinBuffer bytes. Does
  // KeepFromBlocking().
  Console(int fd, std::span<uint8_t> buffer, Counters* counters);
  static constexpr size_t kMinBuffer = 128;

  // Takes what the guest writes. `data` may change meanwhile.
  void Write(const uint8_t* data, size_t size);

  // Writes what can be written now.
  void Drain();

  // Whether there is something left for Drain().
  bool is_pending() const { return size_ > 0; }

  // At the end of the guest: Drain() with a bounded wait.
  void Finish();

  int fd() const { return fd_; }

 private:
  enum class State { kReady, kBlocked, kFailed };

  size_t WriteSome(const uint8_t* data, size_t size);
  bool CanWrite() const;
  void DrainBuffer();
  size_t Append(const uint8_t* data, size_t size);
  void WaitToAppend(const uint8_t** data, size_t* size);
  void Lose(size_t size);
  void DropBuffer();
  void SayWhatIsLost();

  int fd_;
  size_t piece_;  // bytes that can be written at once
  bool ask_;      // whether poll() has to say that a piece can be written
  std::span<uint8_t> buffer_;
  size_t start_ = 0;
  size_t size_ = 0;
  State state_ = State::kReady;
  // Nothing is taken until the buffer is empty.
  bool stalled_ = false;
  bool at_line_start_ = true;
  uint64_t lost_ = 0;  // bytes of which the stream does not tell yet
  // Of the line that tells, still in the buffer's front.
  size_t notice_left_ = 0;
  uint64_t notice_lost_ = 0;
  Counters* counters_;
};

// Sees to it that writing to `fd` never waits for a reader, and says whether it
// now doesn't. A pipe or terminal is replaced by a non-blocking one of its own
// where /proc allows that; nobody else's descriptor becomes non-blocking.
bool KeepFromBlocking(int fd);

// Fills the places of stdin, stdout and stderr where they are closed, so that
// no file that is opened later is taken for one of them. Writing there still
// fails as it would.
void HoldStandardDescriptors();

}  // namespace serai::tender
