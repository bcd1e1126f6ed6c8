// SPDX-License-Identifier: Apache-2.0
// Serai on a whole node of its own: Debian with systemd, cgroup v2, containerd
// and kvm_amd in a virtual machine, which is booted once for all cases.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/vm/initramfs.h"
#include "tests/vm/node/node_cases.h"
#include "tests/vm/virtual_machine.h"

namespace serai::testing {
namespace {

// Longer than the node takes to boot, or after a case's own time.
constexpr absl::Duration kPatience = absl::Seconds(180);

std::string ImagePath() {
  const char* dir = std::getenv("SERAI_VM_NODE");
  return dir == nullptr ? BuildDir() + "/../vm-node/root.ext4"
                        : absl::StrCat(dir, "/root.ext4");
}

// What the node's command came to.
struct Result {
  int status = -1;
  std::string output;
};

// nullopt for a line that says something else.
std::optional<Result> FromLine(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  Result result;
  if (words.size() != 3 || words[0] != "result" ||
      !absl::SimpleAtoi(words[1], &result.status) ||
      !absl::Base64Unescape(words[2], &result.output)) {
    return std::nullopt;
  }
  return result;
}

absl::StatusOr<std::string> FirstFiles() {
  Initramfs root;
  for (const char* name : {"dev", "root"}) root.AddDirectory(name);
  const std::string build = BuildDir();
  RETURN_IF_ERROR(root.CopyFile("init", build + "/tests/node_init"));
  RETURN_IF_ERROR(root.AddModules("disk-modules"));
  RETURN_IF_ERROR(root.CopyTree("serai", build + "/node"));
  return root.Finish();
}

// The kernel would measure the processor's counter against a clock while the
// machine around it is busy with other things, and be wrong by any factor.
constexpr char kKernelOptions[] = "clocksource=hpet systemd.show_status=no";

Machine NodeMachine(const std::string& initramfs) {
  return {.initramfs = initramfs,
          .memory_mib = 2048,
          .kernel_options = kKernelOptions,
          .devices = {"-drive",
                      absl::StrCat("if=virtio,format=raw,snapshot=on,file=",
                                   ImagePath()),
                      "-device", "virtio-serial-pci", "-device",
                      "virtserialport,chardev=line,name=serai"}};
}

class NodeTest : public ::testing::TestWithParam<NodeCase> {
 protected:
  static void TearDownTestSuite() { node_.reset(); }

  void SetUp() override {
    SERAI_NEED("vm");
    if (!PathExists(ImagePath())) {
      const std::string reason = absl::StrCat(
          ImagePath(), " is not there (tests/vm/node/make_image.sh makes it)");
      if (Required("vm")) FAIL() << "SERAI_REQUIRE names vm, but " << reason;
      GTEST_SKIP() << reason;
    }
    if (!started_) Start();
    ASSERT_NE(node_, nullptr) << "the node does not run any more";
  }

  // Runs the command in the node. After a failure there is none any more.
  static Result Run(const std::string& command, int seconds) {
    const absl::Time start = absl::Now();
    const absl::Duration patience = absl::Seconds(seconds) + kPatience;
    if (node_->WriteLine(absl::StrCat(seconds, " ", command))) {
      while (const auto line = node_->ReadLine(patience)) {
        const std::optional<Result> result = FromLine(*line);
        if (!result.has_value()) continue;
        std::printf("status %d after %s\n", result->status,
                    absl::FormatDuration(absl::Trunc(absl::Now() - start,
                                                     absl::Milliseconds(100)))
                        .c_str());
        return *result;
      }
    }
    ADD_FAILURE() << "the node ended or fell silent; its console:\n"
                  << node_->Console();
    node_.reset();
    return {};
  }

 private:
  static void Start() {
    started_ = true;
    ASSERT_OK_AND_ASSIGN(const std::string files, FirstFiles());
    const absl::Time start = absl::Now();
    auto node = std::make_unique<VirtualMachine>(NodeMachine(files));
    const std::optional<std::string> line = node->ReadLine(kPatience);
    ASSERT_TRUE(line.has_value()) << "the node does not boot; its console:\n"
                                  << node->Console();
    std::printf("the node is %s s old after %s\n", line->c_str(),
                absl::FormatDuration(absl::Now() - start).c_str());
    node_ = std::move(node);
  }

  static inline std::unique_ptr<VirtualMachine> node_;
  static inline bool started_ = false;
};

TEST_P(NodeTest, Holds) {
  const NodeCase& node_case = GetParam();
  const Result result = Run(node_case.command, node_case.seconds);
  EXPECT_EQ(result.status, 0) << node_case.command << " said\n"
                              << result.output;
}

std::string CaseName(const ::testing::TestParamInfo<NodeCase>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(, NodeTest, ::testing::ValuesIn(kNodeCases), CaseName);

}  // namespace
}  // namespace serai::testing
