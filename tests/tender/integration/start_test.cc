// SPDX-License-Identifier: Apache-2.0
// The real tender with real guests: what it needs to start one, and what it
// refuses. What the guests themselves do is tested with them.

#include <fcntl.h>

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/lib/solo5/elf_image.h"
#include "tests/support/require.h"
#include "tests/tender/integration/tender_case.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class TenderStartTest : public TenderTest {};

INSTANTIATE_TEST_SUITE_P(Targets, TenderStartTest,
                         ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(TenderStartTest, RunsWithOpenDescriptorsAndNothingElse) {
  SERAI_NEED("root");
  const UniqueFd kernel = Open(Guest("hello"), O_RDONLY);
  TenderSpec spec;
  spec.with_nothing = true;
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5", "one", "two"};
  UniqueFd kvm;
  if (IsHvt()) {
    kvm = Open("/dev/kvm", O_RDWR);
    spec.fds[kKvmFd] = kvm.get();
    spec.args.insert(spec.args.begin(), "--kvm=@6");
  }
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("SUCCESS"));
  EXPECT_THAT(result.output, HasSubstr("one two"));
}

TEST_P(TenderStartTest, RefusesTooLittleMemoryAndTooManyArguments) {
  TenderSpec spec;
  spec.args = {"--mem=1", Guest("hello"), std::string(9000, 'x')};
  EXPECT_THAT(RunTender(spec).output,
              HasSubstr("Guest command line too long (max=8191 characters)"));
  ElfImage image;
  image.target = IsHvt() ? 1 : 2;
  image.loads.back().memory_size = 64 << 20;
  const UniqueFd kernel = FileWith(image.Build());
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("needs at least 66 MiB of memory"));
}

TEST_P(TenderStartTest, NamesWhatIsWrongWithAKernel) {
  ElfImage damaged;
  damaged.manifest_lie.descriptor = 1;
  ElfImage virtio;
  virtio.target = 3;
  const std::pair<std::string, const char*> cases[] = {
      {"#!/bin/sh", "@5: No Solo5 ABI information found in executable"},
      {damaged.Build(), "@5: manifest note does not fall within valid size"},
      {virtio.Build(), "@5: target is virtio (3); hvt or spt is needed"},
  };
  for (const auto& [file, message] : cases) {
    const UniqueFd kernel = FileWith(file);
    TenderSpec spec;
    spec.fds = {{kKernelFd, kernel.get()}};
    spec.args = {"@5"};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr(message));
  }
}

TEST(TenderProgramTest, TellsBothAbiVersionsItServes) {
  TenderSpec spec;
  spec.args = {"--version"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("serai-tender tender, version "));
  EXPECT_THAT(result.output, HasSubstr("\nABI version 1\nABI version 2\n"));
}

TEST(TenderProgramTest, ExplainsItself) {
  TenderSpec help;
  help.args = {"--help"};
  EXPECT_EQ(RunTender(help).status, 1);
  TenderSpec wrong;
  wrong.args = {"--no-such-option", "app"};
  const TenderResult result = RunTender(wrong);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output,
              HasSubstr("Invalid option: `--no-such-option'\nusage: "));
  TenderSpec missing;
  missing.args = {"/no/such/file"};
  EXPECT_THAT(RunTender(missing).output,
              HasSubstr("/no/such/file: Could not open: No such file"));
}

TEST(TenderProgramTest, SaysWhyAnHvtGuestCannotRunWithoutKvm) {
  SERAI_NEED("root");
  const UniqueFd kernel = Open(Guest("hello.hvt"), O_RDONLY);
  TenderSpec spec;
  spec.with_nothing = true;
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5"};
  const TenderResult missing = RunTender(spec);
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output,
              HasSubstr("Could not open /dev/kvm: No such file"));
  EXPECT_THAT(missing.output, HasSubstr("spt"));
  const UniqueFd null = Open("/dev/null", O_RDWR);
  spec.fds[kKvmFd] = null.get();
  spec.args = {"--mem=32", "--kvm=@6", "@5"};
  const TenderResult other = RunTender(spec);
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("is that /dev/kvm?"));
}

TEST(TenderHvtTest, RoundsMemoryDownAndSaysSo) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=33", Guest("hello.hvt")};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("adjusting memory to 32 MiB"));
  EXPECT_THAT(result.output, HasSubstr("memory 32 MiB"));
}

TEST(TenderHvtTest, RunsInTheMostMemoryThereCanBe) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=4096", Guest("hello.hvt")};
  EXPECT_EQ(RunTender(spec).status, 0);
  spec.args[0] = "--mem=4098";
  EXPECT_THAT(RunTender(spec).output, HasSubstr("at most 4096 MiB"));
}

}  // namespace
}  // namespace serai::testing
