// SPDX-License-Identifier: Apache-2.0
#include "shim/input_drain.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "lib/base/file.h"

namespace serai::shim {
namespace {

constexpr size_t kChunk = 16 * 1024;

}  // namespace

// For both directions: the open waits for nobody, and writers may come and go
// without an end of file each time.
absl::StatusOr<std::unique_ptr<InputDrain>> InputDrain::Open(
    EventLoop& loop, const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0 || !S_ISFIFO(st.st_mode)) return nullptr;
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_NONBLOCK));
  std::unique_ptr<InputDrain> drain(new InputDrain(loop, std::move(fd)));
  RETURN_IF_ERROR(loop.Watch(drain->fd_.get(), EPOLLIN,
                             [raw = drain.get()](uint32_t) { raw->Read(); }));
  return drain;
}

void InputDrain::Read() {
  std::array<char, kChunk> chunk;
  // Level-triggered: what is left comes in the loop's next turn.
  while (::read(fd_.get(), chunk.data(), chunk.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace serai::shim
