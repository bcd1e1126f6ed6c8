// SPDX-License-Identifier: Apache-2.0
#include "cri/state/store.h"

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;

std::shared_ptr<Pod> MakePod(const std::string& id) {
  PodRecord record;
  record.set_id(id);
  return std::make_shared<Pod>("/nonexistent/" + id, record);
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
  EXPECT_EQ(store.HolderOf("web"), "1");
  store.ReleaseNames("1");
  EXPECT_EQ(store.HolderOf("web"), "");
  EXPECT_OK(store.ReserveName("web", "2"));
}

TEST(StoreTest, IdsAreLongAndNew) {
  const std::string id = NewId();
  EXPECT_EQ(id.size(), 64u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(id, NewId());
}

TEST(StoreTest, APodIsReadyFromItsCommitToTheBeginningOfItsStop) {
  PodRecord record;
  Pod pod("/nonexistent/a", record);
  EXPECT_FALSE(IsReady(pod, record));
  record.set_committed(true);
  EXPECT_TRUE(IsReady(pod, record));
  pod.alive = false;
  EXPECT_FALSE(IsReady(pod, record));
  pod.alive = true;
  record.set_stopping(true);
  EXPECT_FALSE(IsReady(pod, record));
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
