// SPDX-License-Identifier: Apache-2.0
// The child that unpacks, seen from outside: what it is while it works, and
// what happens when it does not do what it should.
#include "cri/image/unpacker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "cri/image/adopt.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using testing::BuiltImage;
using testing::HasStatus;
using ::testing::HasSubstr;
using testing::ImageBuilder;
using ::testing::IsEmpty;

// The whole of /proc/PID/status of our child that runs `program`; empty while
// there is none.
std::string StatusOfChild(const std::string& program) {
  const auto names = ListDir("/proc");
  const std::string parent = absl::StrCat("PPid:\t", ::getpid(), "\n");
  for (const std::string& name : *names) {
    const std::string process = JoinPath("/proc", name);
    const auto status = ReadFile(process + "/status", 16384);
    if (!status.ok() || !absl::StrContains(*status, parent)) continue;
    const auto words = ReadFile(process + "/cmdline", 16384);
    if (words.ok() && absl::StartsWith(*words, program)) return *status;
  }
  return "";
}

void KeepNothing(const oci::Digest&) {}

class UnpackerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(oci::Layout layout,
                         oci::Layout::Create(dir_ / "layout"));
    layout_ = layout;
    ASSERT_OK(MakeDirs(root_));
  }

  // An unpacker that is this script.
  void Script(const std::string& lines) {
    options_.program = dir_ / "script";
    ASSERT_OK(WriteFileAtomic(options_.program,
                              absl::StrCat("#!/bin/sh\n", lines, "\n"), 0755));
  }

  absl::Status Unpack(const Unpacker::Cancelled& cancelled = nullptr) {
    const BuiltImage image =
        ImageBuilder().AddLayer({{"file", "x"}}).Build(*layout_);
    return Unpacker(options_).UnpackLayers(*layout_, image.manifest,
                                           image.config, root_, cancelled);
  }

  testing::TempDir dir_;
  const std::string root_ = dir_ / "root";
  std::optional<oci::Layout> layout_;
  UnpackerOptions options_ = testing::Unpacking();
};

TEST_F(UnpackerTest, WorksWithoutPrivilegesAndWhatItMadeIsOurs) {
  SERAI_NEED("root");
  // It waits for an archive that does not come.
  ASSERT_OK_AND_ASSIGN(Pipe pipe, MakePipe());
  std::thread reading([&] {
    EXPECT_THAT(Unpacker(options_).ReadArchive(pipe.read_end.get(), root_,
                                               *layout_, KeepNothing, nullptr),
                HasStatus(absl::StatusCode::kInvalidArgument, "archive"));
  });
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr char kLastStep[] = "Seccomp:\t2\n";
#else
  constexpr char kLastStep[] = "Uid:\t65531";
#endif
  std::string status;
  // It is jailed a moment after it has begun.
  for (int i = 0; i < 1000 && !absl::StrContains(status, kLastStep); ++i) {
    status = StatusOfChild(options_.program);
    absl::SleepFor(absl::Milliseconds(10));
  }
  for (const char* line :
       {"Uid:\t65531\t65531\t65531\t65531\n",
        "Gid:\t65531\t65531\t65531\t65531\n", "Groups:\t \n",
        "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
        "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Threads:\t1\n"}) {
    EXPECT_THAT(status, HasSubstr(line));
  }
  EXPECT_THAT(status, HasSubstr(kLastStep));
  pipe.write_end.reset();
  reading.join();

  ASSERT_OK(RemoveTree(root_));
  ASSERT_OK(MakeDirs(root_));
  ASSERT_OK(Unpack());
  for (const std::string& path : {root_, root_ + "/file"}) {
    struct stat st = {};
    ASSERT_EQ(::lstat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_uid, 0u) << path;
    EXPECT_EQ(st.st_gid, 0u) << path;
  }
}

TEST_F(UnpackerTest, OneThatHangsIsKilled) {
  Script("sleep 1000");
  options_.timeout = absl::Milliseconds(300);
  EXPECT_THAT(Unpack(), HasStatus(absl::StatusCode::kResourceExhausted,
                                  "not finished after 300ms"));
  options_.timeout = absl::Minutes(5);
  EXPECT_THAT(Unpack([] { return true; }),
              HasStatus(absl::StatusCode::kCancelled, ""));
}

TEST_F(UnpackerTest, OneThatDiesOrRavesIsAnErrorOfOurs) {
  constexpr auto kInternal = absl::StatusCode::kInternal;
  Script("kill -SEGV $$");
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "died of signal 11"));
  Script("echo broken >&2; exit 7");
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "status 7: broken"));
  Script("printf '14 the registry is to blame'; exit 1");
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "to blame"));
  Script("printf '3 bad\\033[2Jlayer'; exit 1");
  EXPECT_THAT(Unpack(),
              HasStatus(absl::StatusCode::kInvalidArgument, "bad?[2Jlayer"));
  Script("printf 'no number'; exit 1");
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "status 1"));
  Script("head -c 2000000 /dev/zero; exit 1");
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "printed more"));
  options_.program = dir_ / "none";
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "none"));
}

TEST_F(UnpackerTest, WhatIsNoTreeIsNotTakenOver) {
  constexpr auto kInternal = absl::StatusCode::kInternal;
  Script(absl::StrCat("mkfifo ", root_, "/fifo"));
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "fifo"));
  ASSERT_OK(RemovePath(root_ + "/fifo"));
  Script(absl::StrCat("touch ", root_, "/s; chmod 4755 ", root_, "/s"));
  EXPECT_THAT(Unpack(), HasStatus(kInternal, "set-id"));
}

TEST_F(UnpackerTest, AnArchiveThatIsNotWhatTheChildSaysIsRefused) {
  const auto read = [&] {
    const auto fd = OpenFile("/dev/null", O_RDONLY);
    return Unpacker(options_)
        .ReadArchive(fd->get(), root_, *layout_, KeepNothing, nullptr)
        .status();
  };
  constexpr auto kInternal = absl::StatusCode::kInternal;
  Script("true");
  EXPECT_THAT(read(), HasStatus(absl::StatusCode::kInvalidArgument, "answer"));
  const std::string index = oci::ToJson(oci::Index{});
  Script(absl::StrCat("printf '%s' '", index, "'"));
  EXPECT_THAT(read(), HasStatus(kInternal, "no layout"));
  // Links that lead to what is not the child's.
  Script(absl::StrCat("ln -s ", layout_->directory(), "/blobs ", root_,
                      "/blobs; printf '%s' '", index, "'"));
  EXPECT_THAT(read(), HasStatus(kInternal, "no layout"));
  ASSERT_OK(RemovePath(root_ + "/blobs"));
  const std::string hex(64, 'a');
  const std::string blobs = root_ + "/blobs/sha256/";
  Script(absl::StrCat("mkdir -p ", blobs, "; echo other >", blobs, hex,
                      "; printf '%s' '", index, "'"));
  EXPECT_THAT(read(), HasStatus(absl::StatusCode::kDataLoss, hex));
  Script(absl::StrCat("ln -sf /etc/passwd ", blobs, hex, "; printf '%s' '",
                      index, "'"));
  EXPECT_FALSE(read().ok());
  EXPECT_THAT(*layout_->ListBlobs(), IsEmpty());
}

}  // namespace
}  // namespace serai::cri
