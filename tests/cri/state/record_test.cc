// SPDX-License-Identifier: Apache-2.0
#include "cri/state/record.h"

#include <sys/stat.h>

#include <thread>

#include "lib/base/event.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

PodRecord Pod(const std::string& id) {
  PodRecord record;
  record.set_version(kRecordVersion);
  record.set_id(id);
  return record;
}

TEST(RecordTest, AChangeIsInMemoryAndOnDisk) {
  const TempDir dir;
  PodRecord initial = Pod("a");
  (*initial.mutable_config()->mutable_annotations())["k"] = "\"\n\\ü";
  Record<PodRecord> record(dir / "a.json", initial);
  ASSERT_OK(record.Save());
  ASSERT_OK(record.Change([](PodRecord& r) { r.set_committed(true); }));
  PodRecord read;
  ASSERT_OK(LoadRecord(dir / "a.json", read));
  EXPECT_TRUE(read.committed());
  EXPECT_EQ(read.config().annotations().at("k"), "\"\n\\ü");
  EXPECT_OK(record.Erase());
  EXPECT_OK(record.Erase());
}

TEST(RecordTest, AChangeThatCannotBeWrittenIsNone) {
  Record<PodRecord> record("/nonexistent/a.json", Pod("a"));
  EXPECT_FALSE(record.Change([](PodRecord& r) { r.set_committed(true); }).ok());
  EXPECT_FALSE(record.Get().committed());
  // A fact is one whether it can be written or not.
  EXPECT_FALSE(
      record.ChangeAlways([](PodRecord& r) { r.set_stopped(true); }).ok());
  EXPECT_TRUE(record.Get().stopped());
}

TEST(RecordTest, NothingBringsAnErasedFileBack) {
  const TempDir dir;
  Record<PodRecord> record(dir / "a.json", Pod("a"));
  ASSERT_OK(record.Save());
  ASSERT_OK(record.Erase());
  EXPECT_THAT(record.Change([](PodRecord&) {}),
              HasStatus(absl::StatusCode::kNotFound, "erased"));
  EXPECT_FALSE(record.ChangeAlways([](PodRecord&) {}).ok());
  EXPECT_FALSE(record.Save().ok());
  EXPECT_FALSE(PathExists(dir / "a.json"));
}

TEST(RecordTest, AReaderKeepsWhatItReadAndDoesNotWaitForAChange) {
  const TempDir dir;
  Record<PodRecord> record(dir / "a.json", Pod("a"));
  const std::shared_ptr<const PodRecord> before = record.Read();
  Event begun;
  Event go_on;
  std::thread changing([&] {
    EXPECT_OK(record.Change([&](PodRecord& r) {
      r.set_stopped(true);
      begun.Notify();
      go_on.WaitForNotification();
    }));
  });
  begun.WaitForNotification();
  // In the midst of it.
  EXPECT_FALSE(record.Read()->stopped());
  go_on.Notify();
  changing.join();
  EXPECT_TRUE(record.Read()->stopped());
  EXPECT_FALSE(before->stopped());
}

TEST(RecordTest, RubbishIsDataLossAndNamesTheFile) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "a.json", "{\"id\": \"tru"));
  PodRecord record;
  EXPECT_THAT(LoadRecord(dir / "a.json", record),
              HasStatus(absl::StatusCode::kDataLoss, "a.json"));
  ContainerRecord container;
  EXPECT_THAT(LoadRecord(dir / "a.json", container),
              HasStatus(absl::StatusCode::kDataLoss, "a.json"));
}

TEST(RecordTest, OneThatIsTooLongIsNotWritten) {
  const TempDir dir;
  PodRecord initial = Pod("a");
  (*initial.mutable_config()->mutable_annotations())["k"] =
      std::string(9 << 20, 'x');
  Record<PodRecord> record(dir / "a.json", initial);
  EXPECT_THAT(record.Save(),
              HasStatus(absl::StatusCode::kInvalidArgument, "are more than"));
  EXPECT_FALSE(PathExists(dir / "a.json"));
}

TEST(RecordTest, WhatIsNoFileIsNotWaitedFor) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "a.json").c_str(), 0600), 0);
  PodRecord read;
  EXPECT_THAT(LoadRecord(dir / "a.json", read),
              HasStatus(absl::StatusCode::kDataLoss, "not a regular file"));
}

}  // namespace
}  // namespace serai::cri
