// SPDX-License-Identifier: Apache-2.0
#pragma once

// The end of what a task's console said, both streams in the order they came,
// and those who wait for more of it: Control.Attach. A position in the console
// is the number of bytes before it. Used by the shim's loop only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/event_loop.h"

namespace serai::shim {

class ConsoleTail {
 public:
  // What is kept at most. Memory is taken as the console grows.
  static constexpr size_t kMaxBytes = 32 * 1024;
  // More who wait are answered at once, the oldest first.
  static constexpr size_t kMaxWaiting = 256;

  struct Piece {
    absl::string_view data;    // valid during the call
    uint64_t next_offset = 0;  // the position after it
    uint64_t lost = 0;         // bytes before it that are not kept any more
    bool ended = false;        // nothing comes after it
  };
  using OnPiece = std::function<void(const Piece&)>;

  explicit ConsoleTail(EventLoop& loop) : loop_(loop) {}
  // Those who still wait are told that it has ended.
  ~ConsoleTail() { Finish(); }
  ConsoleTail(const ConsoleTail&) = delete;
  ConsoleTail& operator=(const ConsoleTail&) = delete;

  void Append(absl::string_view bytes);
  void Finish();

  // Calls `on_piece` once with what stands after `offset`, as soon as there is
  // something or the end; with nothing after half a minute, so that one who has
  // gone is not waited for. Offset 0: from the first whole line that is kept.
  // A position that the console has not reached is as its end.
  void Read(uint64_t offset, OnPiece on_piece);

  uint64_t end() const { return start_ + text_.size(); }

 private:
  struct Waiter {
    uint64_t offset;
    OnPiece on_piece;
    EventLoop::TimerId timer;
  };

  Piece PieceFrom(uint64_t offset) const;
  // The oldest is answered with what there is.
  void AnswerFirst();
  void AnswerAll();

  EventLoop& loop_;
  std::string text_;
  uint64_t start_ = 0;  // the position of text_
  bool finished_ = false;
  std::list<Waiter> waiting_;
};

}  // namespace serai::shim
