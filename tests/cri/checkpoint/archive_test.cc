// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/archive.h"

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;

class ArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(in_));
    ASSERT_OK(MakeDirs(out_));
    ASSERT_OK(WriteFileAtomic(JoinPath(in_, "machine"), "state"));
  }

  const TempDir dir_;
  const std::string in_ = dir_ / "in";
  const std::string out_ = dir_ / "out";
  const std::string path_ = JoinPath(out_, "a.tar");
};

TEST_F(ArchiveTest, WhatACrashHasLeftOfItIsReplaced) {
  ASSERT_OK(WriteFileAtomic(path_ + ".part", "half of it"));
  ASSERT_OK(WriteTar(in_, path_, Deadline(absl::Minutes(1))));
  EXPECT_THAT(ListDir(out_).value(), ElementsAre("a.tar"));
  EXPECT_THAT(WriteTar(in_, path_, Deadline(absl::Minutes(1))),
              HasStatus(absl::StatusCode::kAlreadyExists, "exists already"));
}

TEST_F(ArchiveTest, WhatTakesTooLongLeavesNothing) {
  EXPECT_THAT(WriteTar(in_, path_, Deadline(absl::ZeroDuration())),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "too long"));
  EXPECT_THAT(ListDir(out_).value(), ElementsAre());
}

}  // namespace
}  // namespace serai::cri
