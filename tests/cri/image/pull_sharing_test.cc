// SPDX-License-Identifier: Apache-2.0
// Several pulls at once, and what is told of them.
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "tests/cri/image/pull_test.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PullSharingTest : public PullTest {
 protected:
  void SetUp() override {
    // An unpacker that writes down each of its runs, the first of which waits
    // at a gate.
    const std::string script = dir_ / "unpack";
    ASSERT_OK(WriteFileAtomic(
        script,
        absl::StrCat("#!/bin/sh\necho run >>", dir_ / "runs", "\n[ $(wc -l <",
                     dir_ / "runs", ") != 1 ] || while [ -e ", dir_ / "gate",
                     " ]; do sleep 0.02; done\nexec ",
                     store_options_.unpacker.program, " \"$@\"\n"),
        0755));
    store_options_.unpacker.program = script;
    PullTest::SetUp();
    puller_.emplace(store_.get(), options_);
  }

  size_t Unpackings() {
    const std::string runs = ReadFile(dir_ / "runs", 4096).value_or("");
    return static_cast<size_t>(std::count(runs.begin(), runs.end(), '\n'));
  }
  void CloseGate() { ASSERT_OK(WriteFileAtomic(dir_ / "gate", "")); }
  void OpenGate() { ASSERT_OK(RemovePath(dir_ / "gate")); }
  void AwaitUnpacking() {
    for (int i = 0; i < 1000 && Unpackings() == 0; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    ASSERT_GT(Unpackings(), 0u);
  }
};

TEST_F(PullSharingTest, TenPullsUnpackOnce) {
  CloseGate();
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&] { EXPECT_OK(PullTag()); });
  }
  AwaitUnpacking();
  OpenGate();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Unpackings(), 1u);
  EXPECT_EQ(RequestsOf(oci::DigestOf(made_.Layer())), 1);
}

TEST_F(PullSharingTest, OneThatIsCancelledWhileItUnpacksDoesNotFailAnother) {
  CloseGate();
  std::atomic<bool> cancelled = false;
  std::thread first([&] {
    EXPECT_THAT(Pull(Name() + ":1", [&] { return cancelled.load(); }),
                HasStatus(absl::StatusCode::kCancelled, ""));
  });
  AwaitUnpacking();
  std::thread second([&] { EXPECT_OK(PullTag()); });
  cancelled = true;
  first.join();
  OpenGate();
  second.join();
  EXPECT_EQ(Unpackings(), 2u);
  EXPECT_THAT(store_->List(), SizeIs(1));
  EXPECT_THAT(*ListDir(dir_ / "store/unpacked"), SizeIs(1));
}

TEST_F(PullSharingTest, CancelledAloneWhileItUnpacksLeavesNothing) {
  CloseGate();
  std::atomic<bool> cancelled = false;
  std::thread pull([&] {
    EXPECT_THAT(Pull(Name() + ":1", [&] { return cancelled.load(); }),
                HasStatus(absl::StatusCode::kCancelled, ""));
  });
  AwaitUnpacking();
  cancelled = true;
  pull.join();
  ExpectNothingLeft();
}

TEST_F(PullSharingTest, AnotherGoesOnFromWhatACancelledOneHad) {
  made_.file_content = std::string(100'000, 'u');
  top_ = made_.Manifest();
  const std::string content = made_.Layer();
  std::atomic<bool> half_sent = false;
  std::atomic<int> asked = 0;
  std::string range;
  FailAt(oci::DigestOf(content).ToString(),
         [&](const HttpServerRequest& request, Reply& reply) {
           if (++asked == 1) {
             reply.Send(absl::StrCat(
                 "HTTP/1.1 200 OK\r\nContent-Length: ", content.size(),
                 "\r\n\r\n", content.substr(0, 50'000)));
             half_sent = true;
             while (!done_) absl::SleepFor(absl::Milliseconds(10));
             return;
           }
           range = request.headers.count("range") == 0
                       ? "none"
                       : request.headers.at("range");
           reply.Answer(
               206, content.substr(50'000),
               absl::StrCat("Content-Range: bytes 50000-", content.size() - 1,
                            "/", content.size(), "\r\n"));
         });
  std::atomic<bool> cancelled = false;
  std::atomic<int64_t> seen = 0;
  std::thread first([&] {
    EXPECT_THAT(Pull(Name() + ":1", [&] { return cancelled.load(); }),
                HasStatus(absl::StatusCode::kCancelled, ""));
  });
  while (!half_sent) absl::SleepFor(absl::Milliseconds(5));
  std::thread second([&] {
    EXPECT_OK(Pull(Name() + ":1", nullptr, {},
                   [&](const PullProgress& told) { seen = told.received(); }));
  });
  // The one that waits is told what the other has.
  for (int i = 0; i < 1000 && seen != 50'000; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(seen, 50'000);
  cancelled = true;
  first.join();
  second.join();
  done_ = true;
  EXPECT_EQ(range, "bytes=50000-");
  EXPECT_THAT(*ListDir(dir_ / "store/images/blobs/sha256"), SizeIs(3));
}

// A layer that many images have, at a registry that means harm.
TEST_F(PullSharingTest, ARegistryThatStallsHoldsUpNoOther) {
  const oci::Digest layer = oci::DigestOf(made_.Layer());
  std::atomic<bool> stalls = false;
  FailAt(layer.ToString(), [&](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 2048\r\n\r\nx");
    stalls = true;
    while (!done_) absl::SleepFor(absl::Milliseconds(10));
  });
  HttpServer healthy([&](const HttpServerRequest& request, Reply& reply) {
    const auto digest =
        oci::Digest::Parse(request.path.substr(request.path.rfind('/') + 1));
    reply.Answer(200,
                 *made_.layout().ReadBlob(digest.ok() ? *digest : top_.digest));
  });
  std::thread stalled([&] {
    EXPECT_THAT(Pull(Name() + ":1", [&] { return done_.load(); }),
                HasStatus(absl::StatusCode::kCancelled, ""));
  });
  while (!stalls) absl::SleepFor(absl::Milliseconds(5));
  const absl::Time late = absl::Now() + absl::Seconds(20);
  EXPECT_OK(
      Pull(healthy.host() + "/app:1", [&] { return absl::Now() > late; }));
  done_ = true;
  stalled.join();
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(PullSharingTest, AnotherManifestOfTheSameConfigHoldsUpNobody) {
  made_.annotations = {{"another", "one"}};
  const oci::Descriptor other = made_.Manifest();
  tags_["2"] = other.digest;
  CloseGate();
  std::thread first([&] { EXPECT_OK(PullTag()); });
  AwaitUnpacking();
  const absl::Time late = absl::Now() + absl::Seconds(20);
  EXPECT_OK(Pull(Name() + ":2", [&] { return absl::Now() > late; }));
  OpenGate();
  first.join();
  EXPECT_EQ(Unpackings(), 2u);
  EXPECT_THAT(store_->List(), SizeIs(1));
  EXPECT_THAT(*ListDir(dir_ / "store/unpacked"), SizeIs(1));
}

TEST_F(PullSharingTest, EveryStageIsTold) {
  std::vector<PullStage> stages;
  PullProgress last;
  ASSERT_OK(Pull(Name() + ":1", nullptr, {}, [&](const PullProgress& told) {
    if (stages.empty() || stages.back() != told.stage) {
      stages.push_back(told.stage);
    }
    last = told;
  }));
  EXPECT_THAT(stages,
              ElementsAre(PullStage::kResolving, PullStage::kDownloading,
                          PullStage::kUnpacking));
  ASSERT_THAT(last.layers, SizeIs(1));
  EXPECT_EQ(last.received(), static_cast<int64_t>(made_.Layer().size()));
  EXPECT_EQ(last.size(), last.received());
}

TEST_F(PullSharingTest, ATrickleIsGivenUp) {
  options_.registry.limits.low_speed_time = absl::Seconds(1);
  options_.registry.attempts = 2;
  puller_.emplace(store_.get(), options_);
  FailAt("/blobs/", [&](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (!done_ && reply.Send("x")) absl::SleepFor(absl::Milliseconds(20));
  });
  EXPECT_THAT(PullTag(), HasStatus(absl::StatusCode::kDeadlineExceeded, ""));
  done_ = true;
  ExpectNothingLeft();
}

}  // namespace
}  // namespace serai::cri
