// SPDX-License-Identifier: Apache-2.0
#include "cri/state/store.h"

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

std::shared_ptr<Pod> MakePod(const std::string& id) {
  PodRecord record;
  record.set_id(id);
  return std::make_shared<Pod>("/nonexistent/" + id, record);
}

TEST(RecordTest, AChangeIsInMemoryAndOnDisk) {
  const TempDir dir;
  PodRecord initial;
  initial.set_id("a");
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
  Record<PodRecord> record("/nonexistent/a.json", PodRecord());
  EXPECT_FALSE(record.Change([](PodRecord& r) { r.set_committed(true); }).ok());
  EXPECT_FALSE(record.Get().committed());
  // A fact is one whether it can be written or not.
  EXPECT_FALSE(
      record.ChangeAlways([](PodRecord& r) { r.set_stopped(true); }).ok());
  EXPECT_TRUE(record.Get().stopped());
}

TEST(RecordTest, RubbishIsDataLoss) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "a.json", "{\"id\": \"tru"));
  PodRecord record;
  EXPECT_THAT(LoadRecord(dir / "a.json", record),
              HasStatus(absl::StatusCode::kDataLoss, "a.json"));
}

TEST(RecordTest, FieldsOfALaterVersionAreIgnored) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "a.json",
                            "{\"id\": \"a\", \"from_the_future\": [1]}"));
  PodRecord record;
  ASSERT_OK(LoadRecord(dir / "a.json", record));
  EXPECT_EQ(record.id(), "a");
}

TEST(StoreTest, FindsByIdAndByAnUnambiguousBeginning) {
  Store store("/nonexistent");
  store.Add(MakePod("aabb"));
  store.Add(MakePod("aacc"));
  store.Add(MakePod("aaccdd"));
  ASSERT_OK_AND_ASSIGN(const auto by_beginning, store.FindPod("aab"));
  EXPECT_EQ(by_beginning->id, "aabb");
  // A whole id wins over what it begins.
  ASSERT_OK_AND_ASSIGN(const auto whole, store.FindPod("aacc"));
  EXPECT_EQ(whole->id, "aacc");
  EXPECT_THAT(store.FindPod("aa"),
              HasStatus(absl::StatusCode::kInvalidArgument, "several"));
  EXPECT_THAT(store.FindPod("b"),
              HasStatus(absl::StatusCode::kNotFound, "no pod"));
  EXPECT_THAT(store.FindPod(""),
              HasStatus(absl::StatusCode::kInvalidArgument, "empty"));
}

TEST(StoreTest, ANameIsTakenUntilItIsReleased) {
  Store store("/nonexistent");
  EXPECT_OK(store.ReserveName("web", "1"));
  EXPECT_OK(store.ReserveName("web", "1"));
  EXPECT_THAT(store.ReserveName("web", "2"),
              HasStatus(absl::StatusCode::kAlreadyExists, "taken by 1"));
  store.ReleaseNames("1");
  EXPECT_OK(store.ReserveName("web", "2"));
}

TEST(StoreTest, IdsAreLongAndNew) {
  const std::string id = NewId();
  EXPECT_EQ(id.size(), 64u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(id, NewId());
}

TEST(StoreTest, APhaseFollowsFromTheTimes) {
  ContainerRecord record;
  EXPECT_EQ(PhaseOf(record), ContainerPhase::kCreated);
  record.set_started_at_ns(1);
  EXPECT_EQ(PhaseOf(record), ContainerPhase::kRunning);
  record.set_finished_at_ns(2);
  EXPECT_EQ(PhaseOf(record), ContainerPhase::kExited);
}

}  // namespace
}  // namespace serai::cri
