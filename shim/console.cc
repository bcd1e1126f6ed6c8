// SPDX-License-Identifier: Apache-2.0
#include "shim/console.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "lib/base/pipe.h"

namespace serai::shim {
namespace {

// As much as is taken of one pipe in one turn of the loop.
constexpr size_t kChunk = 16 * 1024;
// More than a pipe holds: a bound for what is drained at the end, should
// something else hold the pipe open and write on.
constexpr int kMaxFinalChunks = 128;

}  // namespace

Console::~Console() {
  Close(output_);
  Close(error_output_);
}

absl::StatusOr<Console::WriteEnds> Console::Open() {
  WriteEnds ends;
  ASSIGN_OR_RETURN(ends.output, OpenChannel(output_));
  ASSIGN_OR_RETURN(ends.error_output, OpenChannel(error_output_));
  return ends;
}

absl::StatusOr<UniqueFd> Console::OpenChannel(Channel& channel) {
  Close(channel);
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  channel.fd = std::move(pipe.read_end);
  // Only our end: the tender decides how long its guest waits for a slow log.
  if (::fcntl(channel.fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "fcntl");
  }
  RETURN_IF_ERROR(
      loop_.Watch(channel.fd.get(), EPOLLIN, [this, &channel](uint32_t events) {
        if (!ReadSome(channel) && (events & EPOLLHUP) != 0) Close(channel);
      }));
  return std::move(pipe.write_end);
}

bool Console::ReadSome(Channel& channel) {
  std::array<char, kChunk> chunk;
  const ssize_t n = ::read(channel.fd.get(), chunk.data(), chunk.size());
  if (n <= 0) return false;
  const absl::string_view bytes(chunk.data(), static_cast<size_t>(n));
  if (sink_ != nullptr) sink_->Append(channel.stream, bytes);
  recent_.Append(bytes);
  if (channel.stream == LogStream::kStderr) {
    tail_.append(bytes.data(), bytes.size());
    if (tail_.size() > kMaxTail) tail_.erase(0, tail_.size() - kMaxTail);
  }
  return true;
}

void Console::Finish() {
  for (Channel* channel : {&output_, &error_output_}) {
    if (!channel->fd.valid()) continue;
    for (int i = 0; i < kMaxFinalChunks && ReadSome(*channel); ++i) {
    }
    Close(*channel);
  }
  if (sink_ != nullptr) sink_->Finish();
  recent_.Finish();
}

void Console::Close(Channel& channel) {
  if (!channel.fd.valid()) return;
  loop_.Unwatch(channel.fd.get());
  channel.fd.reset();
}

}  // namespace serai::shim
