// SPDX-License-Identifier: Apache-2.0
#pragma once

// A directory of the test's own, removed with all it holds when the test ends.

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/file.h"

namespace serai::testing {

class TempDir {
 public:
  TempDir() : path_("/tmp/serai-test.XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  ~TempDir() { EXPECT_TRUE(RemoveTree(path_).ok()) << path_; }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` inside.
  std::string operator/(absl::string_view name) const {
    return JoinPath(path_, name);
  }

 private:
  std::string path_;
};

}  // namespace serai::testing
