// SPDX-License-Identifier: Apache-2.0
#include "shim/console_tail.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace serai::shim {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr size_t kFirstCapacity = 1024;

}  // namespace

void ConsoleTail::Append(absl::string_view bytes) {
  if (bytes.empty() || finished_) return;
  if (bytes.size() > kMaxBytes) {
    start_ += text_.size() + bytes.size() - kMaxBytes;
    bytes.remove_prefix(bytes.size() - kMaxBytes);
    text_.clear();
  }
  if (text_.size() + bytes.size() > kMaxBytes) {
    // A quarter at a time: not every append moves the whole.
    const size_t excess = text_.size() + bytes.size() - kMaxBytes;
    const size_t gone = std::min(text_.size(), excess + kMaxBytes / 4);
    text_.erase(0, gone);
    start_ += gone;
  }
  const size_t size = text_.size() + bytes.size();
  if (size > text_.capacity()) {
    size_t capacity = std::max(text_.capacity(), kFirstCapacity);
    while (capacity < size) capacity *= 2;
    text_.reserve(std::min(capacity, kMaxBytes));
  }
  text_.append(bytes.data(), bytes.size());
  AnswerAll();
}

void ConsoleTail::Finish() {
  if (std::exchange(finished_, true)) return;
  AnswerAll();
}

void ConsoleTail::Read(uint64_t offset, OnPiece on_piece) {
  offset = std::min(offset, end());
  if (finished_ || offset < end()) return on_piece(PieceFrom(offset));
  if (waiting_.size() >= kMaxWaiting) AnswerFirst();
  const auto waiter =
      waiting_.insert(waiting_.end(), {offset, std::move(on_piece), 0});
  waiter->timer = loop_.AddTimer(kPatience, [this, waiter] {
    const OnPiece answer = std::move(waiter->on_piece);
    const uint64_t from = waiter->offset;
    waiting_.erase(waiter);
    answer(PieceFrom(from));
  });
}

ConsoleTail::Piece ConsoleTail::PieceFrom(uint64_t offset) const {
  Piece piece;
  piece.next_offset = end();
  piece.ended = finished_;
  if (offset >= start_) {
    piece.data = absl::string_view(text_).substr(offset - start_);
    return piece;
  }
  piece.lost = start_ - offset;
  piece.data = text_;
  const size_t newline = text_.find('\n');
  if (offset == 0 && newline != std::string::npos) {
    piece.data.remove_prefix(newline + 1);
    piece.lost += newline + 1;
  }
  return piece;
}

void ConsoleTail::AnswerFirst() {
  const Waiter waiter = std::move(waiting_.front());
  waiting_.pop_front();
  loop_.CancelTimer(waiter.timer);
  waiter.on_piece(PieceFrom(waiter.offset));
}

// One who is answered may ask again: not within this round.
void ConsoleTail::AnswerAll() {
  std::list<Waiter> waiting = std::exchange(waiting_, {});
  for (const Waiter& waiter : waiting) loop_.CancelTimer(waiter.timer);
  for (const Waiter& waiter : waiting) {
    waiter.on_piece(PieceFrom(waiter.offset));
  }
}

}  // namespace serai::shim
