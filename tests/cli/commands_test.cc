// SPDX-License-Identifier: Apache-2.0
// ps, logs, rm and stats.
#include "absl/strings/str_cat.h"
#include "tests/cli/cli_test.h"
#include "tests/support/status_matchers.h"

namespace serai::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PodsTest : public CliTest {
 protected:
  // Runs a pod of that name; returns its id.
  std::string Start(const std::string& name,
                    const std::string& name_space = "default") {
    cri_.AddImage("localhost/web:1");
    const Result result = Serai(
        {"run", "-", "-o", "json", "--log-dir", LogsOf(name)},
        absl::StrCat("{apiVersion: v1, kind: Pod, metadata: {name: ", name,
                     ", namespace: ", name_space,
                     "}, spec: {terminationGracePeriodSeconds: 4, containers: "
                     "[{name: c, image: 'localhost/web:1'}]}}"));
    EXPECT_EQ(result.code, 0) << result.err;
    return result.Json()["id"];
  }

  std::string LogsOf(const std::string& name) { return directory_ / name; }
};

TEST_F(PodsTest, PsShowsPodsAndTheirContainers) {
  const std::string id = Start("web");
  cri_.AddPod("kube-system", "stopped", false);
  cri_.ExitAll(3);
  const Result table = Serai({"ps"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("web"));
  EXPECT_THAT(table.out, HasSubstr(id.substr(0, 13)));
  EXPECT_THAT(table.out, HasSubstr("3 Error"));
  EXPECT_THAT(table.out, HasSubstr("localhost/web:1"));
  EXPECT_THAT(table.out, Not(HasSubstr("stopped")));
  EXPECT_THAT(Serai({"ps", "-a"}).out, HasSubstr("stopped"));

  const auto json = Serai({"ps", "-a", "-o", "json"}).Json();
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0]["id"], id);
  EXPECT_EQ(json[0]["state"], "Ready");
  EXPECT_EQ(json[0]["ip"], "127.0.0.1");
  EXPECT_EQ(json[0]["container"]["state"], "Exited");
  EXPECT_EQ(json[0]["container"]["exit_code"], 3);
  EXPECT_EQ(json[0]["container"]["reason"], "Error");
  EXPECT_FALSE(json[1].contains("container"));
  EXPECT_EQ(Serai({"ps", "-o", "json"}).Json().size(), 1U);
}

TEST_F(PodsTest, PsOfNothingIsAHeader) {
  EXPECT_THAT(Serai({"ps"}).out, ::testing::StartsWith("NAME"));
  EXPECT_EQ(Serai({"ps", "-o", "json"}).out, "[]\n");
}

TEST_F(PodsTest, LogsFindsThePodByAnyName) {
  cri_.SetLog(
      "2026-01-02T03:04:05Z stdout F one\n"
      "2026-01-02T03:04:06Z stdout F two\n");
  const std::string id = Start("web");
  for (const std::string& name :
       {std::string("web"), std::string("default/web"), id, id.substr(0, 20)}) {
    const Result result = Serai({"logs", name});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "one\ntwo\n");
  }
  EXPECT_EQ(Serai({"logs", "web", "--tail", "1", "--timestamps"}).out,
            "2026-01-02T03:04:06Z two\n");
  cri_.ExitAll(0);
  EXPECT_EQ(Serai({"logs", "-f", "web"}).out, "one\ntwo\n");
}

TEST_F(PodsTest, LogsNeedsAContainer) {
  cri_.AddPod("default", "empty");
  const Result result = Serai({"logs", "empty"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, IsOneError("pod default/empty has no container yet"));
}

TEST_F(PodsTest, AnUnknownNameIsAnError) {
  for (const char* command : {"logs", "rm", "stats"}) {
    const Result result = Serai({command, "nobody"});
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, "serai: there is no pod \"nobody\"\n");
  }
}

TEST_F(PodsTest, AnAmbiguousNameIsAnErrorThatLists) {
  const std::string one = Start("web", "one");
  const std::string two = Start("web", "two");
  const Result result = Serai({"rm", "web"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err,
              IsOneError(absl::StrCat("one/web (", one.substr(0, 13), ")")));
  EXPECT_THAT(result.err, HasSubstr("two/web"));
  EXPECT_EQ(Serai({"rm", "one/web"}).code, 0);
  // Only one is left, or only one is ready: then there is no doubt.
  cri_.AddPod("two", "web", false);
  EXPECT_EQ(Serai({"rm", "web", "-o", "json"}).Json(),
            nlohmann::json::array({two}));
}

TEST_F(PodsTest, RmStopsWithGraceAndRemovesTheLogs) {
  cri_.SetLog("2026-01-02T03:04:05Z stdout F one\n");
  const std::string id = Start("web");
  EXPECT_TRUE(PathExists(LogsOf("web") + "/c/0.log"));
  EXPECT_OK(WriteFileAtomic(LogsOf("web") + "/c/0.log.2026.gz", "old"));
  const Result result = Serai({"rm", "web"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, id + "\n");
  EXPECT_EQ(cri_.last_stop().timeout(), 4);
  EXPECT_EQ(cri_.pods(), 0U);
  EXPECT_EQ(cri_.containers(), 0U);
  EXPECT_FALSE(PathExists(LogsOf("web")));

  Start("web");
  EXPECT_EQ(Serai({"rm", "web", "--grace", "0"}).code, 0);
  EXPECT_EQ(cri_.last_stop().timeout(), 0);
}

TEST_F(PodsTest, RmRemovesNoFilesButTheLogs) {
  Start("web");
  EXPECT_OK(WriteFileAtomic(LogsOf("web") + "/c/mine", "x"));
  EXPECT_EQ(Serai({"rm", "web"}).code, 0);
  EXPECT_TRUE(PathExists(LogsOf("web") + "/c/mine"));
  EXPECT_FALSE(PathExists(LogsOf("web") + "/c/0.log"));
}

TEST_F(PodsTest, RmOfAFullIdThatIsGoneSucceeds) {
  EXPECT_EQ(Serai({"rm", std::string(64, 'a')}).code, 0);
  EXPECT_EQ(Serai({"rm", std::string(63, 'a')}).code, 1);
}

TEST_F(PodsTest, RmAllGoesOnAfterAFailure) {
  Start("one");
  Start("two");
  cri_.Fail("RemovePodSandbox", absl::UnavailableError("plugin hangs"));
  const Result failed = Serai({"rm", "-a"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, IsOneError("removing the pod: plugin hangs"));
  const auto calls = cri_.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "RemovePodSandbox"), 2);
  cri_.Fail("RemovePodSandbox", absl::OkStatus());
  EXPECT_EQ(Serai({"rm", "-a"}).code, 0);
  EXPECT_EQ(cri_.pods(), 0U);
}

TEST_F(PodsTest, StatsShowsUsage) {
  Start("one");
  Start("two");
  const Result all = Serai({"stats"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_THAT(all.out, HasSubstr("3.0 MiB"));
  EXPECT_THAT(all.out, HasSubstr("1.50s"));
  const auto json = Serai({"stats", "two", "-o", "json"}).Json();
  ASSERT_EQ(json.size(), 1U);
  EXPECT_EQ(json[0]["pod"], "two");
  EXPECT_EQ(json[0]["memory_working_set_bytes"], 3 << 20);
}

}  // namespace
}  // namespace serai::cli
