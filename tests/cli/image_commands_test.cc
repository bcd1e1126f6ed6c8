// SPDX-License-Identifier: Apache-2.0
// images, pull, rmi, load, pack and inspect.
#include <sstream>

#include "cli/pull_display.h"
#include "lib/oci/digest.h"
#include "lib/oci/layout.h"
#include "tests/cli/cli_test.h"
#include "tests/support/registry.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unikernel_file.h"

namespace serai::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using ImagesTest = CliTest;

TEST_F(ImagesTest, ListsAndRemoves) {
  const std::string id = cri_.AddImage("localhost/web:1");
  EXPECT_THAT(Serai({"images"}).out, HasSubstr("localhost/web:1"));
  const auto json = Serai({"images", "-o", "json"}).Json();
  EXPECT_EQ(json[0]["id"], id);
  EXPECT_EQ(json[0]["size"], 3 << 20);
  const Result removed = Serai({"rmi", "localhost/web:1"});
  EXPECT_EQ(removed.out, id + "\n");
  const Result again = Serai({"rmi", "localhost/web:1"});
  EXPECT_EQ(again.code, 1);
  EXPECT_EQ(again.err, "serai: there is no image \"localhost/web:1\"\n");
}

TEST_F(ImagesTest, PullsWithAPasswordFromStandardInput) {
  const Result result = Serai({"pull", "r.example/web", "--user", "me",
                               "--password-stdin", "-o", "json"},
                              "secret\nrest");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.Json()["reference"], "r.example/web");
  EXPECT_EQ(cri_.last_pull().auth().username(), "me");
  EXPECT_EQ(cri_.last_pull().auth().password(), "secret");
  const Result none =
      Serai({"pull", "a", "--user", "me", "--password-stdin"}, "");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, IsOneError("no password came"));
}

TEST_F(ImagesTest, APullSaysHowFarItIs) {
  const Result plain = Serai({"pull", "web"});
  EXPECT_EQ(plain.err,
            "asking the registry\n"
            "downloading: 0 of 1 layers, 5.0 MiB of 10.0 MiB\n"
            "unpacking\ndone\n");
  EXPECT_THAT(plain.out, ::testing::StartsWith("sha256:"));
  EXPECT_EQ(Serai({"pull", "web", "-o", "json"}).err, "");
  // A server that knows the CRI alone says nothing.
  cri_.Fail("PullImageTold", absl::UnimplementedError("no such method"));
  const Result silent = Serai({"pull", "web"});
  EXPECT_EQ(silent.out, plain.out);
  EXPECT_EQ(silent.err, "");
}

TEST(PullDisplayTest, ATerminalsLinesAreWrittenOver) {
  std::ostringstream out;
  PullDisplay display(out, /*terminal=*/true);
  control::v1::PullProgress progress;
  display.Show(progress);
  EXPECT_EQ(out.str(), "asking the registry\n");
  progress.set_stage(progress.DOWNLOADING);
  progress.set_bytes_per_second(2 << 20);
  for (int i = 0; i < 2; ++i) {
    control::v1::LayerProgress& layer = *progress.add_layers();
    layer.set_digest("sha256:" + std::string(64, 'b'));
    layer.set_size(int64_t{1} << 40);
    layer.set_received(i == 0 ? int64_t{1} << 39 : -5);
  }
  out.str("");
  display.Show(progress);
  EXPECT_THAT(out.str(), ::testing::StartsWith("\x1b[1A\x1b[J"
                                               "bbbbbbbbbbbbb ["
                                               "===============               "
                                               "] "));
  EXPECT_THAT(out.str(), HasSubstr("0 of 2 layers, "));
  EXPECT_THAT(out.str(), HasSubstr(", 2.0 MiB/s\n"));
  out.str("");
  display.Show(progress);
  EXPECT_THAT(out.str(), ::testing::StartsWith("\x1b[3A"));
}

TEST_F(ImagesTest, FailureToPullIsOneSentence) {
  cri_.Fail("PullImage", absl::NotFoundError("no such\nrepository"));
  const Result result = Serai({"pull", "web"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "serai: pulling web: no such repository\n");
}

TEST_F(ImagesTest, LoadsAnArchive) {
  const std::string archive(3'000'000, 'x');
  EXPECT_OK(WriteFileAtomic(directory_ / "a.tar", archive));
  const Result file = Serai({"load", directory_ / "a.tar", "-t", "web:2"});
  EXPECT_EQ(file.code, 0) << file.err;
  EXPECT_THAT(file.out, HasSubstr("localhost/loaded:1"));
  EXPECT_EQ(cri_.loaded_name(), "web:2");
  EXPECT_EQ(cri_.loaded_data(), archive);
  const Result stream = Serai({"load", "-", "-o", "json"}, "piped");
  EXPECT_EQ(stream.Json()[0]["repo_tags"][0], "localhost/loaded:1");
  EXPECT_EQ(cri_.loaded_data(), archive + "piped");
  EXPECT_THAT(Serai({"load", directory_ / "none.tar"}).err,
              IsOneError("none.tar"));
  cri_.Fail("LoadImage", absl::InvalidArgumentError("it is no tar"));
  EXPECT_THAT(Serai({"load", directory_ / "a.tar"}).err,
              IsOneError("a.tar: it is no tar"));
}

class PackTest : public CliTest {
 protected:
  void SetUp() override {
    testing::UnikernelFile hvt;
    testing::UnikernelFile spt;
    spt.target = solo5::Target::kSpt;
    ASSERT_OK(WriteFileAtomic(hvt_, hvt.Bytes()));
    ASSERT_OK(WriteFileAtomic(spt_, spt.Bytes()));
  }

  const std::string hvt_ = directory_ / "app.hvt";
  const std::string spt_ = directory_ / "app.spt";
};

TEST_F(PackTest, WritesTheSameArchiveEachTime) {
  const std::string one = directory_ / "one.tar";
  const Result first = RunLine({"pack", hvt_, spt_, "-t", "localhost/app",
                                "--archive", one, "-o", "json", "--", "--x=1"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.Json()["reference"], "localhost/app:latest");
  EXPECT_THAT(first.Json()["digest"].get<std::string>(),
              ::testing::StartsWith("sha256:"));
  const std::string two = directory_ / "two.tar";
  const Result second = RunLine({"pack", hvt_, spt_, "-t", "localhost/app",
                                 "--archive", two, "--", "--x=1"});
  EXPECT_EQ(second.out,
            absl::StrCat("localhost/app:latest ",
                         first.Json()["digest"].get<std::string>(), "\n"));
  ASSERT_OK_AND_ASSIGN(const std::string a, ReadFile(one, 64 << 20));
  ASSERT_OK_AND_ASSIGN(const std::string b, ReadFile(two, 64 << 20));
  EXPECT_EQ(oci::DigestOf(a), oci::DigestOf(b));
  const Result other = RunLine(
      {"pack", hvt_, "-t", "localhost/app", "--archive", two, "-o", "json"});
  EXPECT_NE(other.Json()["digest"], first.Json()["digest"]);
}

TEST_F(PackTest, AddsToALayout) {
  const std::string directory = directory_ / "layout";
  for (const char* name : {"localhost/a:1", "localhost/b:1"}) {
    const Result result =
        RunLine({"pack", hvt_, "-t", name, "--layout", directory});
    EXPECT_EQ(result.code, 0) << result.err;
  }
  ASSERT_OK_AND_ASSIGN(const auto layout, oci::Layout::Open(directory));
  ASSERT_OK_AND_ASSIGN(const auto index, layout.ReadIndex());
  EXPECT_EQ(index.manifests.size(), 2U);
}

TEST_F(PackTest, PushesToARegistry) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(
      const auto registry,
      testing::LocalRegistry::Start(testing::LocalRegistry::Auth::kBasic));
  const std::string name = registry->host() + "/team/app:7";
  const Result result =
      RunLine({"pack", hvt_, "-t", name, "--push", "--user",
               testing::LocalRegistry::kUsername, "--password-stdin"},
              absl::StrCat(testing::LocalRegistry::kPassword, "\n"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, ::testing::StartsWith(name + " sha256:"));
  const Result anonymous = RunLine({"pack", hvt_, "-t", name, "--push"});
  EXPECT_EQ(anonymous.code, 1);
  EXPECT_THAT(anonymous.err, IsOneError("pushing "));
}

TEST_F(PackTest, FailureLeavesNoArchive) {
  const std::string archive = directory_ / "a.tar";
  EXPECT_OK(WriteFileAtomic(directory_ / "text", "hello"));
  const Result result =
      RunLine({"pack", directory_ / "text", "-t", "app", "--archive", archive});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, IsOneError("text: "));
  EXPECT_THAT(RunLine({"pack", hvt_, "-t", "UPPER", "--archive", archive}).err,
              IsOneError("UPPER"));
  EXPECT_THAT(RunLine({"pack", hvt_, "-t", "app", "--archive",
                       directory_ / "none/a.tar"})
                  .err,
              IsOneError("none/a.tar"));
  ASSERT_OK_AND_ASSIGN(const auto names, ListDir(directory_.path()));
  EXPECT_THAT(names, ElementsAre("app.hvt", "app.spt", "text"));
}

TEST_F(PackTest, DevicesAreGivenBeforeTheFilesOrBehindThem) {
  EXPECT_OK(WriteFileAtomic(directory_ / "disk", std::string(512, 'x')));
  const std::string archive = directory_ / "a.tar";
  // The files have no such device: what counts is who is asked for one.
  EXPECT_THAT(RunLine({"pack", "--block", "data=" + (directory_ / "disk"), hvt_,
                       "-t", "app", "--archive", archive})
                  .err,
              IsOneError("app.hvt has no block device \"data\""));
  EXPECT_THAT(RunLine({"pack", hvt_, "-t", "app", "--archive", archive,
                       "--volume", "config"})
                  .err,
              IsOneError("app.hvt has no block device \"config\""));
  for (const char* word : {"data", "=x", "data="}) {
    EXPECT_THAT(RunLine({"pack", hvt_, "-t", "app", "--archive", archive,
                         "--block", word})
                    .err,
                IsOneError("must be DEVICE=VALUE"));
  }
}

class InspectTest : public PackTest {};

TEST_F(InspectTest, ReadsAFile) {
  const Result result = RunLine({"inspect", hvt_, "-o", "json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = result.Json();
  EXPECT_EQ(json["target"], "hvt");
  EXPECT_TRUE(json["abi"].is_number());
  EXPECT_TRUE(json["devices"].is_array());
  EXPECT_GT(json["memory_floor_bytes"], 0);
  EXPECT_THAT(RunLine({"inspect", hvt_}).out, HasSubstr("hvt"));
  EXPECT_OK(WriteFileAtomic(directory_ / "text", "hello"));
  const Result text = RunLine({"inspect", directory_ / "text"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.err, IsOneError("text: "));
}

TEST_F(InspectTest, AsksForAnImage) {
  cri_.AddImage("localhost/web:1");
  cri_.SetImageInfo(R"({"cmd": ["a"], "refused": ["/x.hvt: damaged"],
      "unikernels": [{"path": "/app.hvt", "target": "hvt", "abi": 2,
      "devices": [{"name": "service", "type": "NET_BASIC"}],
      "memory_floor_bytes": 2097152}]})");
  const Result table = Serai({"inspect", "localhost/web:1"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("service (NET_BASIC)"));
  EXPECT_THAT(table.out, HasSubstr("2.0 MiB"));
  EXPECT_THAT(table.out, HasSubstr("/x.hvt: damaged"));
  const auto json = Serai({"inspect", "localhost/web:1", "-o", "json"}).Json();
  EXPECT_EQ(json["unikernels"][0]["target"], "hvt");
  EXPECT_EQ(json["image"]["cmd"][0], "a");
  const Result yaml = Serai({"inspect", "--pod-yaml", "localhost/web:1"});
  EXPECT_EQ(yaml.code, 0) << yaml.err;
  EXPECT_THAT(yaml.out, HasSubstr("\n  runtimeClassName: unikernel\n"));
  EXPECT_THAT(yaml.out, HasSubstr("\n    image: \"localhost/web:1\"\n"));
  EXPECT_EQ(Serai({"inspect", "nothing"}).err,
            "serai: there is no file and no image \"nothing\"\n");
}

TEST_F(InspectTest, SurvivesAnyDescription) {
  cri_.AddImage("web");
  for (const char* info :
       {"", "null", "[]", "{", R"({"unikernels": 3})",
        R"({"unikernels": [3, {"devices": [1], "memory_floor_bytes": -1}]})",
        R"({"unikernels": {"a": {}}, "refused": "x"})"}) {
    cri_.SetImageInfo(info);
    for (const char* format : {"table", "json"}) {
      const Result result = Serai({"inspect", "web", "-o", format});
      EXPECT_TRUE(result.code == 0 || result.code == 1) << info;
    }
  }
}

}  // namespace
}  // namespace serai::cli
