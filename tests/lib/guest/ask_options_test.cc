// SPDX-License-Identifier: Apache-2.0
// Our guests are asked by the real tender.
#include "lib/guest/ask_options.h"

#include <fcntl.h>

#include <memory>

#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unikernel_file.h"

namespace serai::guest {
namespace {

using ::serai::testing::BuildDir;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::serai::testing::UnikernelFile;

class AskOptionsTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (absl::string_view(GetParam()) == "hvt") SERAI_NEED("kvm");
  }

  static absl::StatusOr<GuestOptions> AskFile(
      const std::string& path,
      const std::string& tender = BuildDir() + "/bin/serai-tender") {
    ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_RDONLY));
    const auto unikernel = std::make_unique<solo5::Unikernel>();
    solo5::Error error;
    if (!solo5::ReadUnikernel(file.get(), unikernel.get(), &error)) {
      return absl::InternalError(error.message);
    }
    return AskOptions({tender, file.get(), *unikernel});
  }
  static absl::StatusOr<GuestOptions> Ask(const std::string& guest) {
    return AskFile(
        absl::StrCat(BuildDir(), "/guests/", guest, ".", GetParam()));
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, AskOptionsTest,
                         ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(AskOptionsTest, AGuestWithANetworkDeviceSaysWhatItTakes) {
  ASSERT_OK_AND_ASSIGN(const GuestOptions web, Ask("web"));
  EXPECT_TRUE(web.known());
  EXPECT_TRUE(web.Has("--ipv4"));
  EXPECT_TRUE(web.Has("--ipv4-only"));
  EXPECT_TRUE(web.Has("--name"));
  EXPECT_FALSE(web.Has("--resolver"));
}

TEST_P(AskOptionsTest, SoDoesOneWithABlockDevice) {
  ASSERT_OK_AND_ASSIGN(const GuestOptions block, Ask("block"));
  EXPECT_TRUE(block.Has("--read-only"));
  ASSERT_OK_AND_ASSIGN(const GuestOptions both, Ask("ledger"));
  EXPECT_TRUE(both.Has("--pause-ms"));
}

TEST_P(AskOptionsTest, OneThatTakesItForSomethingElseHasNoAnswer) {
  // It repeats its words; this one takes them for a program.
  for (const char* guest : {"hello", "script"}) {
    ASSERT_OK_AND_ASSIGN(const GuestOptions options, Ask(guest));
    EXPECT_FALSE(options.known()) << guest;
  }
}

TEST_P(AskOptionsTest, OneThatDoesNotEndIsKilled) {
  EXPECT_THAT(Ask("deaf"), HasStatus(absl::StatusCode::kDeadlineExceeded, ""));
}

TEST_P(AskOptionsTest, WhatCanNotRunHasNoAnswer) {
  const TempDir dir;
  UnikernelFile file;
  file.target = absl::string_view(GetParam()) == "hvt" ? solo5::Target::kHvt
                                                       : solo5::Target::kSpt;
  ASSERT_OK(WriteFileAtomic(dir / "app", file.Bytes()));
  const auto options = AskFile(dir / "app");
  EXPECT_FALSE(options.ok() && options->known());
  EXPECT_FALSE(AskFile(dir / "app", dir / "no-tender").ok());
  // What is the tender's fault says nothing of the guest.
  ASSERT_OK(WriteFileAtomic(
      dir / "tender", "#!/bin/sh\necho no namespaces >&2\nexit 1\n", 0755));
  EXPECT_THAT(
      AskFile(dir / "app", dir / "tender"),
      HasStatus(absl::StatusCode::kFailedPrecondition, "no namespaces"));
}

TEST_P(AskOptionsTest, APageThatMayBeCutShortIsNoAnswer) {
  const TempDir dir;
  UnikernelFile file;
  file.target = absl::string_view(GetParam()) == "hvt" ? solo5::Target::kHvt
                                                       : solo5::Target::kSpt;
  ASSERT_OK(WriteFileAtomic(dir / "app", file.Bytes()));
  const auto ask = [&](const std::string& end,
                       const char* page =
                           "echo OPTIONS; echo '       --ipv4=VALUE'; ") {
    EXPECT_OK(WriteFileAtomic(
        dir / "tender", absl::StrCat("#!/bin/sh\n", page, end, "\n"), 0755));
    return AskFile(dir / "app", dir / "tender");
  };
  for (const char* end : {"exit 0", "exit 63"}) {
    ASSERT_OK_AND_ASSIGN(const GuestOptions options, ask(end));
    EXPECT_TRUE(options.Has("--ipv4")) << end;
  }
  ASSERT_OK_AND_ASSIGN(const GuestOptions options, ask("exit 2"));
  EXPECT_FALSE(options.known());
  EXPECT_THAT(ask("kill -KILL $$"),
              HasStatus(absl::StatusCode::kAborted, "status 137"));
  EXPECT_THAT(ask("exit 1", ""),
              HasStatus(absl::StatusCode::kAborted, "status 1 "));
  ASSERT_OK_AND_ASSIGN(const GuestOptions flood,
                       ask("while :; do echo flood; done"));
  EXPECT_FALSE(flood.known());
}

}  // namespace
}  // namespace serai::guest
