// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/find_unikernel.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/escaping.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unikernel_file.h"

namespace serai::guest {
namespace {

using testing::HasStatus;
using testing::UnikernelFile;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

NodeTargets NoKvm() {
  NodeTargets node;
  node.hvt = false;
  node.hvt_reason = "open /dev/kvm: No such file or directory";
  return node;
}

class FindUnikernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = dir_ / "root";
    ASSERT_OK(MakeDirs(root_));
  }
  void Write(const std::string& path, const std::string& bytes) {
    const std::string full = JoinPath(root_, path);
    ASSERT_OK(MakeDirs(full.substr(0, full.rfind('/'))));
    ASSERT_OK(WriteFileAtomic(full, bytes));
  }
  void WriteUnikernel(const std::string& path,
                      solo5::Target target = solo5::Target::kHvt) {
    UnikernelFile file;
    file.target = target;
    file.devices = {{"service", solo5::DeviceType::kNet}};
    Write(path, file.Bytes());
  }
  absl::StatusOr<FoundUnikernel> Find(const NodeTargets& node = {}) {
    ASSIGN_OR_RETURN(const UniqueFd root,
                     OpenFile(root_, O_RDONLY | O_DIRECTORY));
    return FindUnikernel(root.get(), words_, node);
  }
  std::string FoundPath(const NodeTargets& node = {}) {
    const auto found = Find(node);
    return found.ok() ? found->path : std::string(found.status().message());
  }

  testing::TempDir dir_;
  std::string root_;
  ImageWords words_;
};

TEST_F(FindUnikernelTest, TheOrderIsKept) {
  WriteUnikernel("scan/app.hvt");
  EXPECT_EQ(FoundPath(), "/scan/app.hvt");
  WriteUnikernel("entry/app.hvt");
  words_.entrypoint = {"/entry/app.hvt", "--arg"};
  EXPECT_EQ(FoundPath(), "/entry/app.hvt");
  WriteUnikernel("urunc/app.hvt");
  Write("urunc.json", R"({"com.urunc.unikernel.binary":")" +
                          absl::Base64Escape("/urunc/app.hvt") + R"("})");
  EXPECT_EQ(FoundPath(), "/urunc/app.hvt");
  WriteUnikernel("annotation/app.hvt");
  words_.annotations["com.urunc.unikernel.binary"] = "annotation/app.hvt";
  EXPECT_EQ(FoundPath(), "/annotation/app.hvt");
  WriteUnikernel("label/app.hvt");
  words_.labels["dev.serai.unikernel"] = "/label/app.hvt";
  EXPECT_EQ(FoundPath(), "/label/app.hvt");
  WriteUnikernel("ours/app.hvt");
  words_.annotations["dev.serai.unikernel"] = "/ours/app.hvt";
  EXPECT_EQ(FoundPath(), "/ours/app.hvt");
  WriteUnikernel("command/app.hvt");
  words_.command = "/command/app.hvt";
  EXPECT_EQ(FoundPath(), "/command/app.hvt");
  WriteUnikernel("pod/app.hvt");
  words_.pod_annotations["serai.dev/unikernel"] = "/pod/app.hvt";
  ASSERT_OK_AND_ASSIGN(const FoundUnikernel found, Find());
  EXPECT_EQ(found.path, "/pod/app.hvt");
  EXPECT_EQ(found.source, "the pod's annotation serai.dev/unikernel");
  EXPECT_EQ(found.unikernel.target, solo5::Target::kHvt);
  EXPECT_STREQ(found.unikernel.Devices()[0].name, "service");
}

TEST_F(FindUnikernelTest, TakesHvtWhereKvmWorksElseSpt) {
  WriteUnikernel("app.hvt");
  WriteUnikernel("app.spt", solo5::Target::kSpt);
  words_.entrypoint = {"/app.hvt"};
  words_.labels = {{"dev.serai.unikernel", "/app.hvt"},
                   {"dev.serai.unikernel.hvt", "/app.hvt"},
                   {"dev.serai.unikernel.spt", "/app.spt"}};
  EXPECT_EQ(FoundPath(), "/app.hvt");
  EXPECT_EQ(FoundPath(NoKvm()), "/app.spt");
  // The same without any word of it.
  words_ = {};
  EXPECT_EQ(FoundPath(), "/app.hvt");
  EXPECT_EQ(FoundPath(NoKvm()), "/app.spt");
}

TEST_F(FindUnikernelTest, AnEntrypointHasItsTwinForTheOtherTarget) {
  WriteUnikernel("srv/app.hvt");
  WriteUnikernel("srv/app.spt", solo5::Target::kSpt);
  WriteUnikernel("srv/other.spt", solo5::Target::kSpt);
  words_.entrypoint = {"/srv/app.hvt"};
  EXPECT_EQ(FoundPath(), "/srv/app.hvt");
  EXPECT_EQ(FoundPath(NoKvm()), "/srv/app.spt");
  ASSERT_OK(RemovePath(JoinPath(root_, "srv/app.spt")));
  EXPECT_THAT(Find(NoKvm()), HasStatus(kPrecondition, "/srv/app.hvt"));
}

TEST_F(FindUnikernelTest, WhoSaidItIsInTheMessage) {
  WriteUnikernel("app.hvt");
  words_.speaker = "the container";
  words_.annotations["dev.serai.unikernel"] = "/no";
  EXPECT_THAT(Find(),
              HasStatus(kInvalid, "the container's label dev.serai.unikernel"));
}

TEST_F(FindUnikernelTest, NothingButFilesIsOpenedOnTheWay) {
  ASSERT_EQ(::mkfifo(JoinPath(root_, "fifo").c_str(), 0600), 0);
  // A device that nobody serves: to open it fails.
  if (::geteuid() == 0) {
    ASSERT_EQ(::mknod(JoinPath(root_, "node").c_str(), S_IFCHR | 0600,
                      (508 << 8) | 77),
              0);
  }
  WriteUnikernel("sub/app.hvt");
  EXPECT_EQ(FoundPath(), "/sub/app.hvt");
  words_.entrypoint = {"/node"};
  EXPECT_EQ(FoundPath(), "/sub/app.hvt");
}

TEST_F(FindUnikernelTest, AnEndlessTreeIsNotWalked) {
  std::string path = root_;
  for (int i = 0; i < 102; ++i) path += "/d";
  ASSERT_OK(MakeDirs(path));
  EXPECT_THAT(Find(), HasStatus(kInvalid, "nested too deep"));
}

TEST_F(FindUnikernelTest, AnHvtImageWithoutKvmSaysWhatWouldRun) {
  WriteUnikernel("app.hvt");
  const auto found = Find(NoKvm());
  EXPECT_THAT(found, HasStatus(kPrecondition,
                               "open /dev/kvm: No such file or directory"));
  EXPECT_THAT(found, HasStatus(kPrecondition, "an spt build of it would run"));
  NodeTargets nothing = NoKvm();
  nothing.spt = false;
  nothing.spt_reason = "no seccomp";
  WriteUnikernel("app.spt", solo5::Target::kSpt);
  EXPECT_THAT(Find(nothing), HasStatus(kPrecondition, "no seccomp"));
}

TEST_F(FindUnikernelTest, AnImageWithoutAUnikernelSaysWhatWasLookedFor) {
  Write("bin/sh", "#!");
  Write("bin/ls", "#!");
  words_.entrypoint = {"/bin/sh"};
  const auto found = Find();
  for (const char* part :
       {"serai.dev/unikernel", "dev.serai.unikernel", "urunc.json",
        "entrypoint /bin/sh", "not an ELF file", "none of its 2 files"}) {
    EXPECT_THAT(found, HasStatus(kInvalid, part));
  }
}

TEST_F(FindUnikernelTest, AnOrdinaryElfIsNoUnikernel) {
  absl::StatusOr<std::string> ordinary = ReadFile("/proc/self/exe", 1 << 28);
  ASSERT_OK(ordinary);
  Write("bin/test", *ordinary);
  EXPECT_THAT(Find(), HasStatus(kInvalid, "none of its 1 files"));
}

TEST_F(FindUnikernelTest, WhatIsNamedMustBeThere) {
  WriteUnikernel("app.hvt");
  words_.pod_annotations["serai.dev/unikernel"] = "/other.hvt";
  EXPECT_THAT(Find(),
              HasStatus(kInvalid,
                        "the pod's annotation serai.dev/unikernel names "
                        "/other.hvt: "));
}

TEST_F(FindUnikernelTest, ForeignTargetsAndMachinesAreNamed) {
  WriteUnikernel("app.xen", solo5::Target::kXen);
  EXPECT_THAT(Find(), HasStatus(kInvalid, "/app.xen: "));
  words_.entrypoint = {"/app.xen"};
  EXPECT_THAT(Find(), HasStatus(kInvalid, "the image's entrypoint /app.xen: "));
  UnikernelFile arm;
  arm.machine = EM_AARCH64;
  Write("app.arm", arm.Bytes());
  words_.entrypoint = {"/app.arm"};
  EXPECT_FALSE(Find().ok());
}

TEST_F(FindUnikernelTest, ADamagedUnikernelIsRefusedWithTheReason) {
  UnikernelFile file;
  file.devices.resize(3, {"same", solo5::DeviceType::kNet});
  Write("app.hvt", file.Bytes());
  EXPECT_THAT(Find(), HasStatus(kInvalid, "/app.hvt: "));
  words_.entrypoint = {"/app.hvt"};
  EXPECT_THAT(Find(), HasStatus(kInvalid, "entrypoint /app.hvt: "));
}

TEST_F(FindUnikernelTest, SeveralOfOneTargetMustBeChosenFrom) {
  WriteUnikernel("a.hvt");
  WriteUnikernel("b.hvt");
  const auto found = Find();
  EXPECT_THAT(found, HasStatus(kInvalid, "several unikernels for hvt"));
  EXPECT_THAT(found, HasStatus(kInvalid, "/a.hvt and /b.hvt"));
}

TEST_F(FindUnikernelTest, ARelativeEntrypointStartsAtTheWorkingDirectory) {
  WriteUnikernel("srv/app.hvt");
  WriteUnikernel("other.hvt");
  words_.working_dir = "/srv";
  words_.entrypoint = {"./app.hvt"};
  EXPECT_EQ(FoundPath(), "/srv/app.hvt");
  words_.entrypoint = {"/other.hvt"};
  EXPECT_EQ(FoundPath(), "/other.hvt");
}

TEST_F(FindUnikernelTest, LinksAreResolvedInsideTheImage) {
  WriteUnikernel("real/app.hvt");
  ASSERT_OK(WriteFileAtomic(dir_ / "app.hvt", UnikernelFile().Bytes()));
  ASSERT_EQ(::symlink("/real", JoinPath(root_, "link").c_str()), 0);
  ASSERT_EQ(
      ::symlink((dir_ / "app.hvt").c_str(), JoinPath(root_, "out").c_str()), 0);
  words_.pod_annotations["serai.dev/unikernel"] = "/link/app.hvt";
  EXPECT_EQ(FoundPath(), "/real/app.hvt");
  for (const char* path : {"/out", "../app.hvt"}) {
    words_.pod_annotations["serai.dev/unikernel"] = path;
    EXPECT_THAT(Find(), HasStatus(kInvalid, path));
  }
}

TEST_F(FindUnikernelTest, UruncValuesAreReadInEveryForm) {
  WriteUnikernel("unikernel/app");
  for (const std::string& value :
       {std::string("/unikernel/app"), std::string("unikernel/app"),
        absl::Base64Escape("/unikernel/app"),
        "b64:" + absl::Base64Escape("/unikernel/app")}) {
    words_.annotations["com.urunc.unikernel.binary"] = value;
    EXPECT_EQ(FoundPath(), "/unikernel/app") << value;
  }
}

TEST_F(FindUnikernelTest, ABadUruncFileIsRefused) {
  WriteUnikernel("app.hvt");
  for (const char* text :
       {"", "[]", "{}", "null", R"({"com.urunc.unikernel.binary":7})"}) {
    Write("urunc.json", text);
    EXPECT_THAT(Find(), HasStatus(kInvalid, "urunc.json")) << text;
  }
  Write("urunc.json", std::string(100000, ' '));
  EXPECT_FALSE(Find().ok());
}

}  // namespace
}  // namespace serai::guest
