// SPDX-License-Identifier: Apache-2.0
#pragma once

// A file size limit stands in for a full disk: writes are cut short, then fail.

#include <signal.h>
#include <sys/resource.h>

#include "gtest/gtest.h"

namespace serai::testing {

class FullDisk {
 public:
  // No file of this process grows beyond so many bytes while this lives.
  explicit FullDisk(rlim_t bytes) {
    EXPECT_NE(::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit limit = {bytes, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FullDisk() { EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_ = {};
};

}  // namespace serai::testing
