// SPDX-License-Identifier: Apache-2.0
#pragma once

// A file descriptor with one owner. A function that takes over a descriptor
// takes a UniqueFd by value; one that borrows it takes an int.

#include <utility>

namespace serai {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives the descriptor up to the caller.
  int release() { return std::exchange(fd_, -1); }
  // Closes what is owned and owns `fd`. Closes once whatever close() says: on
  // Linux the descriptor is gone also after EINTR. Keeps errno.
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace serai
