// SPDX-License-Identifier: Apache-2.0
#include "cri/container/termination.h"

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::IsOkAndHolds;
using ::serai::testing::TempDir;

ContainerRecord Ended(int exit_code, const std::string& reason) {
  ContainerRecord record;
  record.set_exit_code(exit_code);
  record.set_reason(reason);
  return record;
}

TEST(TerminationTest, TheLastWordsComeBeforeTheReason) {
  EXPECT_EQ(TerminationMessage(Ended(3, "Error"), "one\ntwo"),
            "one\ntwo\nError (exit status 3)");
  EXPECT_EQ(TerminationMessage(Ended(255, "GuestFault"), ""),
            "GuestFault (exit status 255)");
  EXPECT_EQ(TerminationMessage(Ended(0, "Completed"), "bye"), "");
}

TEST(TerminationTest, NoMoreThanKubeletReadsAndFromALinesBeginning) {
  std::string words;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&words, "line ", i, "\n");
  const std::string message = TerminationMessage(Ended(1, "Error"), words);
  EXPECT_LE(message.size(), 4096u);
  EXPECT_GT(message.size(), 4000u);
  EXPECT_EQ(message.substr(0, 5), "line ");
  EXPECT_NE(message.find("line 999\nError (exit status 1)"), std::string::npos);

  // One line without an end, of characters of three bytes.
  std::string endless;
  for (int i = 0; i < 3000; ++i) endless += "\xe2\x82\xac";
  const std::string cut = TerminationMessage(Ended(1, "Error"), endless);
  EXPECT_LE(cut.size(), 4096u);
  EXPECT_EQ(cut.substr(0, 3), "\xe2\x82\xac");
}

TEST(TerminationTest, AHostileConsoleBecomesPrintableUtf8) {
  EXPECT_EQ(TerminationMessage(Ended(1, "Error"),
                               std::string("a\x1b[31m\0b\xff\tc\r\n", 13)),
            "a?[31m?b\xef\xbf\xbd\tc?\nError (exit status 1)");
}

TEST(TerminationTest, AContainerWithoutTheMountHasNone) {
  EXPECT_OK(WriteTerminationMessage(Ended(1, "Error"), "words"));
}

// A mount as a pod's author may have it, and kubelet's after it.
TEST(TerminationTest, TheUppermostMountThatMayBeWrittenIsWritten) {
  const TempDir dir;
  ContainerRecord record = Ended(1, "Error");
  for (const char* name : {"authors", "kubelets", "on-top"}) {
    ASSERT_OK(WriteFileAtomic(dir / name, "before"));
    auto* mount = record.mutable_config()->add_mounts();
    mount->set_container_path("/dev/termination-log");
    mount->set_host_path(dir / name);
    mount->set_readonly(std::string(name) == "on-top");
  }
  ASSERT_OK(WriteTerminationMessage(record, "words"));
  EXPECT_THAT(ReadFile(dir / "authors", 100), IsOkAndHolds("before"));
  EXPECT_THAT(ReadFile(dir / "on-top", 100), IsOkAndHolds("before"));
  EXPECT_THAT(ReadFile(dir / "kubelets", 100),
              IsOkAndHolds("words\nError (exit status 1)"));
}

}  // namespace
}  // namespace serai::cri
