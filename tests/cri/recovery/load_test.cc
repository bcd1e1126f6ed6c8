// SPDX-License-Identifier: Apache-2.0
// What is no record is put aside; what can't be read is left as it is.
#include "cri/recovery/load.h"

#include <unistd.h>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::SizeIs;

class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(store_.PodDirectory()));
    ASSERT_OK(MakeDirs(store_.ContainerDirectory()));
  }

  void WritePod(const std::string& id) const {
    PodRecord record;
    record.set_version(kRecordVersion);
    record.set_id(id);
    ASSERT_OK(SaveRecord(store_.PodPath(id), record));
  }

  void WriteContainer(const std::string& id, const std::string& pod) const {
    ContainerRecord record;
    record.set_version(kRecordVersion);
    record.set_id(id);
    record.set_pod_id(pod);
    ASSERT_OK(SaveRecord(store_.ContainerPath(id), record));
  }

  const TempDir dir_;
  const Store store_{dir_.path()};
  const std::string sound_ = std::string(64, 'a');
  const std::string other_ = std::string(64, 'b');
};

TEST_F(LoadTest, WhatIsNoRecordIsPutAside) {
  WritePod(sound_);
  ASSERT_OK(WriteFileAtomic(store_.PodPath(other_), "{"));
  ASSERT_OK_AND_ASSIGN(const FoundRecords found, FindRecords(store_));
  EXPECT_THAT(found.pods, SizeIs(1));
  EXPECT_THAT(found.newer, IsEmpty());
  EXPECT_THAT(found.unreadable_pods, ElementsAre(other_));
  EXPECT_TRUE(PathExists(store_.PodPath(other_) + ".unreadable"));
}

// As with an error of the disk, or no descriptor left.
TEST_F(LoadTest, WhatCannotBeReadIsLeftAsItIsWithAllThatBelongsToIt) {
  WritePod(sound_);
  WritePod(other_);
  WriteContainer(std::string(64, 'c'), other_);
  WriteContainer(std::string(64, 'd'), sound_);
  // Longer than anything is read.
  ASSERT_EQ(::truncate(store_.PodPath(other_).c_str(), 1 << 30), 0);
  ASSERT_OK_AND_ASSIGN(const FoundRecords found, FindRecords(store_));
  ASSERT_THAT(found.pods, SizeIs(1));
  EXPECT_EQ(found.pods.front().id(), sound_);
  ASSERT_THAT(found.containers, SizeIs(1));
  EXPECT_EQ(found.containers.front().pod_id(), sound_);
  EXPECT_THAT(found.newer, ElementsAre(Key(other_)));
  EXPECT_THAT(found.unreadable_pods, IsEmpty());
  EXPECT_TRUE(PathExists(store_.PodPath(other_)));
}

}  // namespace
}  // namespace serai::cri
