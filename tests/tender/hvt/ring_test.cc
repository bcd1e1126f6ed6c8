// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/ring.h"

#include <sys/socket.h>

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace serai::tender::hvt {
namespace {

using solo5::HvtRing;
using solo5::HvtRingCommit;
using solo5::HvtRingEntry;
using solo5::HvtRingOperation;
using solo5::kHvtRingSlots;
using solo5::kMinLoadAddress;
using solo5::kPageSize;
using solo5::Result;
using solo5::Segment;
using ::testing::ExitedWithCode;

constexpr uint64_t kData = kMinLoadAddress + kPageSize;
constexpr uint64_t kSize = kData + 4 * kPageSize;
constexpr Segment kText = {0,    kMinLoadAddress, kPageSize, kPageSize,
                           true, false,           true};
constexpr uint32_t kNet = 1;
constexpr uint32_t kDisk = 2;

class RingTest : public ::testing::Test {
 protected:
  RingTest() : bytes_(kSize), shared_(std::make_unique<HvtRing>()) {
    int ends[2];
    EXPECT_EQ(
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                     ends),
        0);
    peer_.reset(ends[0]);
    guest_.reset(ends[1]);
    devices_[kNet].kind = Device::Kind::kNet;
    devices_[kNet].fd = guest_.get();
    devices_[kDisk].kind = Device::Kind::kBlock;
  }

  HvtRingEntry Write(uint64_t data, uint32_t size, uint32_t handle = kNet) {
    return {HvtRingOperation::kNetWrite, handle, data, size, 0, 0};
  }
  HvtRingEntry Read(uint64_t data, uint32_t size, uint32_t id = 0,
                    uint32_t handle = kNet) {
    return {HvtRingOperation::kNetRead, handle, data, size, id, 0};
  }
  void Add(const HvtRingEntry& entry) {
    shared_->entries[shared_->entry_tail % kHvtRingSlots] = entry;
    ++shared_->entry_tail;
  }
  HvtRingCommit TakeCommit() {
    EXPECT_NE(shared_->commit_head, shared_->commit_tail);
    return shared_->commits[shared_->commit_head++ % kHvtRingSlots];
  }
  Ring::Outcome AddAndServe(const HvtRingEntry& entry) {
    Add(entry);
    return ring_.ServeBatch();
  }
  // What the peer gets, -1 for nothing.
  ssize_t Arrived() {
    char frame[4096];
    return ::recv(peer_.get(), frame, sizeof(frame), 0);
  }

  std::vector<uint8_t> bytes_;
  std::unique_ptr<HvtRing> shared_;
  DeviceTable devices_;
  Counters counters_;
  UniqueFd peer_;
  UniqueFd guest_;
  GuestMemory memory_{bytes_.data(), kSize, {&kText, 1}};
  Ring ring_{shared_.get(), &memory_, &devices_, &counters_};
};

TEST_F(RingTest, SendsFramesWithoutAnAnswer) {
  EXPECT_EQ(ring_.ServeBatch(), Ring::Outcome::kIdle);
  EXPECT_FALSE(ring_.HasEntries());
  Add(Write(kData, 60));
  Add(Write(kData, 70));
  EXPECT_TRUE(ring_.HasEntries());
  EXPECT_EQ(ring_.ServeBatch(), Ring::Outcome::kServed);
  EXPECT_EQ(ring_.ServeBatch(), Ring::Outcome::kIdle);
  EXPECT_EQ(Arrived(), 60);
  EXPECT_EQ(Arrived(), 70);
  EXPECT_EQ(shared_->entry_head, 2u);
  EXPECT_EQ(shared_->commit_tail, 0u);
  EXPECT_EQ(counters_.devices[kNet].writes, 2u);
}

TEST_F(RingTest, AnswersReadsAtOnce) {
  ASSERT_EQ(::send(peer_.get(), "a frame", 7, 0), 7);
  EXPECT_EQ(AddAndServe(Read(kData, 2048, 17)), Ring::Outcome::kServed);
  const HvtRingCommit commit = TakeCommit();
  EXPECT_EQ(commit.id, 17u);
  EXPECT_EQ(commit.ret, static_cast<int32_t>(Result::kOk));
  EXPECT_EQ(commit.len, 7u);
  EXPECT_EQ(bytes_[kData], 'a');
  EXPECT_EQ(AddAndServe(Read(kData, 2048, 18)), Ring::Outcome::kServed);
  EXPECT_EQ(TakeCommit().ret, static_cast<int32_t>(Result::kAgain));
}

TEST_F(RingTest, GoesAroundAnyNumberOfTimes) {
  shared_->entry_tail = 0;
  for (uint32_t i = 0; i < 3 * kHvtRingSlots; ++i) {
    ASSERT_EQ(AddAndServe(Read(kData, 100, i)), Ring::Outcome::kServed);
    ASSERT_EQ(TakeCommit().id, i);
  }
}

TEST_F(RingTest, ServesNoMoreThanABatchAtOnce) {
  for (uint32_t i = 0; i < Ring::kBatch + 1; ++i) Add(Write(kData, 60, 0));
  EXPECT_EQ(ring_.ServeBatch(), Ring::Outcome::kServed);
  EXPECT_EQ(shared_->entry_head, Ring::kBatch);
  EXPECT_EQ(ring_.ServeBatch(), Ring::Outcome::kServed);
  EXPECT_EQ(ring_.ServeBatch(), Ring::Outcome::kIdle);
}

TEST_F(RingTest, RefusesHandlesThatAreNone) {
  for (const uint32_t handle : {0u, kDisk, 63u, 64u, ~0u}) {
    EXPECT_EQ(AddAndServe(Write(kData, 60, handle)), Ring::Outcome::kServed);
    EXPECT_EQ(AddAndServe(Read(kData, 60, 1, handle)), Ring::Outcome::kServed);
    EXPECT_EQ(TakeCommit().ret, static_cast<int32_t>(Result::kInvalid));
  }
  EXPECT_EQ(Arrived(), -1);
}

TEST_F(RingTest, AsksForKicksOnlyWhereTold) {
  EXPECT_EQ(shared_->needs_kick, 0u);
  ring_.AskForKicks(true);
  EXPECT_EQ(shared_->needs_kick, 1u);
  ring_.AskForKicks(false);
  EXPECT_EQ(shared_->needs_kick, 0u);
}

TEST_F(RingTest, NeverReadsAgainWhatItWrote) {
  EXPECT_EQ(AddAndServe(Read(kData, 100, 1)), Ring::Outcome::kServed);
  shared_->entry_head = 12345;
  shared_->commit_tail = 54321;
  shared_->needs_kick = 99;
  EXPECT_EQ(AddAndServe(Read(kData, 100, 2)), Ring::Outcome::kServed);
  EXPECT_EQ(shared_->entry_head, 2u);
  EXPECT_EQ(shared_->commit_tail, 2u);
  EXPECT_EQ(shared_->commits[1].id, 2u);
}

TEST_F(RingTest, BreaksOnWhatIsNotTheGuests) {
  struct Case {
    uint64_t data;
    uint32_t size;
    bool read;
  };
  const Case cases[] = {
      {0, 60, false},                  // no mapping
      {kSize, 60, false},              // the ring itself
      {kSize - 10, 60, false},         // across the end
      {~uint64_t{0} - 10, 60, false},  // wraps
      {kData, ~0u, false},             // longer than there is memory
      {kMinLoadAddress, 60, true},     // text
      {kData - 10, 60, true},          // partly text
      {0x10000, 60, true},             // what it was told at its start
      {kSize, 60, true},
      {kData, ~0u, true},
  };
  for (const Case& one : cases) {
    Ring ring(shared_.get(), &memory_, &devices_, &counters_);
    *shared_ = {};
    Add(one.read ? Read(one.data, one.size) : Write(one.data, one.size));
    EXPECT_EQ(ring.ServeBatch(), Ring::Outcome::kBroken) << one.data;
    EXPECT_EXIT(ring.EndGuest(), ExitedWithCode(1), "Invalid guest access");
    // And stays so.
    *shared_ = {};
    EXPECT_EQ(ring.ServeBatch(), Ring::Outcome::kBroken);
  }
  EXPECT_EQ(Arrived(), -1);
  // Text can be sent.
  EXPECT_EQ(AddAndServe(Write(kMinLoadAddress, 60)), Ring::Outcome::kServed);
}

TEST_F(RingTest, BreaksOnWildIndices) {
  for (const uint32_t tail : {kHvtRingSlots + 1, ~0u, 0x80000000u}) {
    Ring ring(shared_.get(), &memory_, &devices_, &counters_);
    shared_->entry_tail = tail;
    EXPECT_EQ(ring.ServeBatch(), Ring::Outcome::kBroken);
    EXPECT_EXIT(ring.EndGuest(), ExitedWithCode(1), "Invalid guest ring index");
  }
}

TEST_F(RingTest, BreaksOnAnswersThatAreNotTaken) {
  Ring::Outcome outcome = Ring::Outcome::kServed;
  uint32_t answers = 0;
  while (outcome == Ring::Outcome::kServed && answers < 2 * kHvtRingSlots) {
    outcome = AddAndServe(Read(kData, 100));
    ++answers;
  }
  EXPECT_EQ(outcome, Ring::Outcome::kBroken);
  EXPECT_EQ(answers, kHvtRingSlots + 1);
  EXPECT_EXIT(ring_.EndGuest(), ExitedWithCode(1), "answers not taken");
  // One that claims to have taken more than there were.
  Ring ring(shared_.get(), &memory_, &devices_, &counters_);
  *shared_ = {};
  shared_->commit_head = 1;
  Add(Read(kData, 100));
  EXPECT_EQ(ring.ServeBatch(), Ring::Outcome::kBroken);
}

TEST_F(RingTest, BreaksOnUnknownOperations) {
  for (const uint32_t operation : {0u, 3u, ~0u}) {
    Ring ring(shared_.get(), &memory_, &devices_, &counters_);
    *shared_ = {};
    HvtRingEntry entry = Write(kData, 60);
    entry.operation = static_cast<HvtRingOperation>(operation);
    Add(entry);
    EXPECT_EQ(ring.ServeBatch(), Ring::Outcome::kBroken);
    EXPECT_EXIT(ring.EndGuest(), ExitedWithCode(1), "ring operation");
  }
}

}  // namespace
}  // namespace serai::tender::hvt
