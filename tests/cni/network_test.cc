// SPDX-License-Identifier: Apache-2.0
#include "cni/network.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cni {
namespace {

using ::nlohmann::json;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kResult[] =
    R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]})";

// Plugins are shell scripts that note each call in a log and what they were
// given in a file per call.
class ClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(bin_));
    ASSERT_OK(MakeDirs(conf_));
    ASSERT_OK(WriteFileAtomic(dir_ / "log", ""));
    options_.conf_dir = conf_;
    options_.bin_dirs = {dir_ / "nothing", bin_};
    options_.cache_dir = dir_ / "cache/cni";
    options_.timeout = absl::Seconds(20);
  }

  // `cases` are branches of a shell case over the command.
  void Plugin(const std::string& type, const std::string& cases,
              const std::string& versions = R"("0.4.0","1.0.0","1.1.0")") {
    const std::string path = JoinPath(bin_, type);
    ASSERT_OK(WriteFileAtomic(
        path,
        absl::StrCat("#!/bin/sh\ncd ", dir_.path(), "\n",
                     "[ $CNI_COMMAND = VERSION ] || ", "echo $CNI_COMMAND ",
                     type, " >>log\n", "cat >", type, ".$CNI_COMMAND.in\n",
                     "env | grep ^CNI_ | sort >", type, ".$CNI_COMMAND.env\n",
                     "case $CNI_COMMAND in\n", cases,
                     "VERSION) echo '{\"supportedVersions\":[", versions,
                     "]}';;\nesac\n"),
        0755));
  }
  void GoodPlugin(const std::string& type) {
    Plugin(type, absl::StrCat("ADD) echo '", kResult, "';;\n"));
  }

  void Configure(const std::string& text,
                 const std::string& name = "10-pods.conflist") {
    ASSERT_OK(WriteFileAtomic(JoinPath(conf_, name), text));
  }
  void ConfigureList(const std::string& plugins) {
    Configure(absl::StrCat(R"({"cniVersion":"1.0.0","name":"pods","plugins":[)",
                           plugins, "]}"));
  }

  std::vector<std::string> Log() {
    return absl::StrSplit(*ReadFile(dir_ / "log", 1 << 20), '\n',
                          absl::SkipEmpty());
  }
  json Input(const std::string& call) {
    const auto text = ReadFile(dir_ / (call + ".in"), 1 << 20);
    EXPECT_OK(text);
    return text.ok() ? json::parse(*text, nullptr, false) : json();
  }
  std::string Environment(const std::string& call) {
    return *ReadFile(dir_ / (call + ".env"), 1 << 20);
  }
  std::vector<std::string> Records() {
    std::vector<std::string> records;
    const auto names = ListDir(options_.cache_dir);
    if (!names.ok()) return records;
    // A record that is there has the lock of its plugins beside it.
    for (const std::string& name : *names) {
      if (!absl::EndsWith(name, ".lock")) records.push_back(name);
    }
    return records;
  }

  // A chain whose first plugin works and whose second does `cases`.
  absl::Status AddWithSecond(const std::string& cases) {
    GoodPlugin("first");
    Plugin("second", cases);
    ConfigureList(R"({"type":"first"},{"type":"second"})");
    return Client(options_).Add(attachment_).status();
  }

  TempDir dir_;
  const std::string bin_ = dir_ / "bin";
  const std::string conf_ = dir_ / "conf";
  Options options_;
  const Attachment attachment_ = {.container_id = "c0ffee",
                                  .netns = "/proc/self/ns/net",
                                  .pod_name = "web",
                                  .pod_namespace = "default",
                                  .pod_uid = "u-1",
                                  .port_mappings = {},
                                  .wanted_address = "",
                                  .wanted_mac = ""};
};

TEST_F(ClientTest, ReadyFollowsTheDirectory) {
  Client client(options_);
  EXPECT_THAT(client.Ready(), HasStatus(absl::StatusCode::kUnavailable, conf_));
  ConfigureList(R"({"type":"first"})");
  EXPECT_THAT(client.Ready(), HasStatus(absl::StatusCode::kUnavailable,
                                        "plugin first: no program in"));
  EXPECT_THAT(client.Ready(), HasStatus(absl::StatusCode::kUnavailable, bin_));
  GoodPlugin("first");
  EXPECT_OK(client.Ready());
  EXPECT_OK(client.Ready());
  Configure("{\n\"name\" }");
  EXPECT_THAT(client.Ready(),
              HasStatus(absl::StatusCode::kUnavailable,
                        "10-pods.conflist: line 2, column 8: not JSON"));
  ConfigureList(R"({"type":"first"})");
  EXPECT_OK(client.Ready());
  ASSERT_OK(RemovePath(conf_ + "/10-pods.conflist"));
  EXPECT_THAT(client.Ready(),
              HasStatus(absl::StatusCode::kUnavailable, "no network"));
}

TEST_F(ClientTest, APluginThatDoesNotSpeakTheVersionIsNamed) {
  Plugin("old", "", R"("0.3.0")");
  ConfigureList(R"({"type":"old"})");
  EXPECT_THAT(
      Client(options_).Ready(),
      HasStatus(absl::StatusCode::kUnavailable,
                "plugin old does not speak cniVersion 1.0.0, only 0.3.0"));
}

TEST_F(ClientTest, TheNewestVersionOfAllIsUsed) {
  GoodPlugin("new");
  Plugin("mid", absl::StrCat("ADD) echo '", kResult, "';;\n"),
         R"("0.4.0","1.0.0")");
  Configure(R"({"cniVersion":"1.1.0","cniVersions":["0.4.0","1.0.0"],
                "name":"pods","plugins":[{"type":"new"},{"type":"mid"}]})");
  ASSERT_OK(Client(options_).Add(attachment_));
  EXPECT_EQ(Input("new.ADD")["cniVersion"], "1.0.0");
}

TEST_F(ClientTest, StatusIsAskedFromVersion11On) {
  Plugin("agent",
         "STATUS) echo '{\"code\":50,\"msg\":\"agent is down\"}'; exit 1;;\n");
  Configure(
      R"({"cniVersion":"1.1.0","name":"p","plugins":[{"type":"agent"}]})");
  EXPECT_THAT(Client(options_).Ready(),
              HasStatus(absl::StatusCode::kUnavailable, "agent is down"));
  Configure(
      R"({"cniVersion":"1.0.0","name":"p","plugins":[{"type":"agent"}]})");
  EXPECT_OK(Client(options_).Ready());
}

TEST_F(ClientTest, RunsTheChainInOrderAndBackwards) {
  Plugin("first", R"(ADD) echo '{"cniVersion":"1.0.0","x":1}';;
)");
  GoodPlugin("second");
  ConfigureList(
      R"({"type":"first","keep":"this"},
         {"type":"second","capabilities":{"portMappings":true}})");
  Client client(options_);
  Attachment attachment = attachment_;
  attachment.port_mappings = {{8080, 80, "tcp", ""}};
  ASSERT_OK_AND_ASSIGN(const Result result, client.Add(attachment));
  EXPECT_EQ(result.ips[0].address, "10.0.0.2");
  EXPECT_EQ(json::parse(result.json), json::parse(kResult));
  EXPECT_EQ(Input("first.ADD"),
            json::parse(R"({"cniVersion":"1.0.0","name":"pods","type":"first",
                            "keep":"this"})"));
  EXPECT_EQ(Input("second.ADD")["prevResult"],
            json::parse(R"({"cniVersion":"1.0.0","x":1})"));
  EXPECT_EQ(Input("second.ADD")["runtimeConfig"]["portMappings"][0]["hostPort"],
            8080);
  EXPECT_EQ(Environment("first.ADD"),
            absl::StrCat("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;"
                         "K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c0ffee;"
                         "K8S_POD_UID=u-1\n"
                         "CNI_COMMAND=ADD\nCNI_CONTAINERID=c0ffee\n"
                         "CNI_IFNAME=eth0\nCNI_NETNS=/proc/self/ns/net\n"
                         "CNI_PATH=",
                         dir_ / "nothing", ":", bin_, "\n"));

  ASSERT_OK(client.Check("c0ffee"));
  EXPECT_EQ(Input("first.CHECK")["prevResult"], json::parse(kResult));
  ASSERT_OK(client.Del("c0ffee"));
  EXPECT_EQ(Input("first.DEL")["prevResult"], json::parse(kResult));
  EXPECT_EQ(Input("second.DEL")["runtimeConfig"]["portMappings"][0]["hostPort"],
            8080);
  EXPECT_THAT(Log(), ElementsAre("ADD first", "ADD second", "CHECK first",
                                 "CHECK second", "DEL second", "DEL first"));
  EXPECT_THAT(Records(), IsEmpty());
  EXPECT_OK(client.Del("c0ffee"));
  EXPECT_EQ(Log().size(), 6U);
  EXPECT_THAT(client.Check("c0ffee"),
              HasStatus(absl::StatusCode::kNotFound, ""));
}

TEST_F(ClientTest, DelUsesTheConfigurationOfAddInAnotherProcess) {
  GoodPlugin("first");
  GoodPlugin("other");
  ConfigureList(R"({"type":"first","mark":1})");
  ASSERT_OK(Client(options_).Add(attachment_));
  ConfigureList(R"({"type":"other"})");
  Client restarted(options_);
  ASSERT_OK_AND_ASSIGN(const auto attachments, restarted.Attachments());
  EXPECT_THAT(attachments, ElementsAre(attachment_));
  ASSERT_OK(restarted.Del("c0ffee"));
  EXPECT_THAT(Log(), ElementsAre("ADD first", "DEL first"));
  EXPECT_EQ(Input("first.DEL")["mark"], 1);
  ASSERT_OK_AND_ASSIGN(const auto none, restarted.Attachments());
  EXPECT_THAT(none, IsEmpty());
}

TEST_F(ClientTest, DelOfANamespaceThatIsGoneNamesNone) {
  GoodPlugin("first");
  ConfigureList(R"({"type":"first"})");
  Client client(options_);
  Attachment attachment = attachment_;
  attachment.netns = dir_ / "netns";
  ASSERT_OK(WriteFileAtomic(attachment.netns, ""));  // unmounted, file left
  ASSERT_OK(client.Add(attachment));
  ASSERT_OK(client.Del("c0ffee"));
  EXPECT_THAT(Environment("first.DEL"), HasSubstr("CNI_NETNS=\n"));
}

TEST_F(ClientTest, ASecondAddIsRefused) {
  GoodPlugin("first");
  ConfigureList(R"({"type":"first"})");
  Client client(options_);
  ASSERT_OK(client.Add(attachment_));
  EXPECT_THAT(client.Add(attachment_),
              HasStatus(absl::StatusCode::kAlreadyExists, "c0ffee"));
  EXPECT_EQ(Log().size(), 1U);
}

TEST_F(ClientTest, DelEndsAtAnErrorAndCanBeRepeated) {
  GoodPlugin("first");
  Plugin("second", absl::StrCat("ADD) echo '", kResult, "';;\n",
                                "DEL) [ -e mended ] || { echo '{\"code\":100,",
                                "\"msg\":\"stuck\"}'; exit 1; };;\n"));
  ConfigureList(R"({"type":"first"},{"type":"second"})");
  Client client(options_);
  ASSERT_OK(client.Add(attachment_));
  EXPECT_THAT(client.Del("c0ffee"),
              HasStatus(absl::StatusCode::kUnknown,
                        "plugin second: DEL: stuck (code 100)"));
  EXPECT_THAT(Records(), Not(IsEmpty()));
  ASSERT_OK(WriteFileAtomic(dir_ / "mended", ""));
  EXPECT_OK(client.Del("c0ffee"));
  EXPECT_THAT(Log(), ElementsAre("ADD first", "ADD second", "DEL second",
                                 "DEL second", "DEL first"));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ClientTest, CheckIsLeftOutWhereTheConfigurationForbidsIt) {
  GoodPlugin("first");
  Configure(R"({"cniVersion":"1.0.0","name":"p","disableCheck":true,
                "plugins":[{"type":"first"}]})");
  Client client(options_);
  ASSERT_OK(client.Add(attachment_));
  EXPECT_OK(client.Check("c0ffee"));
  EXPECT_THAT(Log(), ElementsAre("ADD first"));
}

TEST_F(ClientTest, AFailedAddIsUndoneAndToldInThePluginsWords) {
  EXPECT_THAT(AddWithSecond("ADD) echo '{\"code\":7,\"msg\":\"bad subnet\","
                            "\"details\":\"line 3\"}'; exit 1;;\n"),
              HasStatus(absl::StatusCode::kUnknown,
                        "plugin second: ADD: bad subnet; line 3 (code 7)"));
  EXPECT_THAT(
      Log(), ElementsAre("ADD first", "ADD second", "DEL second", "DEL first"));
  EXPECT_EQ(Input("first.DEL")["prevResult"], json::parse(kResult));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ClientTest, TryAgainLaterIsUnavailable) {
  EXPECT_THAT(
      AddWithSecond("ADD) echo '{\"code\":11,\"msg\":\"busy\"}'; exit 1;;\n"),
      HasStatus(absl::StatusCode::kUnavailable, "busy"));
}

TEST_F(ClientTest, AnExitWithoutAnErrorObjectIsToldWithStderr) {
  EXPECT_THAT(AddWithSecond("ADD) echo oops >&2; exit 3;;\n"),
              HasStatus(absl::StatusCode::kUnknown,
                        "plugin second: ADD: exit code 3 and no error "
                        "object: oops"));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ClientTest, OneThatPrintsNothingOrRubbishFails) {
  EXPECT_THAT(AddWithSecond("ADD) ;;\n"),
              HasStatus(absl::StatusCode::kUnknown,
                        "plugin second: ADD answered with nothing"));
  EXPECT_THAT(AddWithSecond("ADD) echo hello;;\n"),
              HasStatus(absl::StatusCode::kUnknown, "column 1: not JSON"));
  EXPECT_THAT(
      AddWithSecond("ADD) echo '{\"ips\":[{\"address\":\"x\"}]}';;\n"),
      HasStatus(absl::StatusCode::kUnknown, "the result of network pods: "));
  EXPECT_THAT(AddWithSecond("ADD) echo '{}';;\n"),
              HasStatus(absl::StatusCode::kUnknown, "no address for eth0"));
  EXPECT_THAT(
      AddWithSecond("ADD) head -c 1000000 /dev/zero | tr '\\0' '[';;\n"),
      HasStatus(absl::StatusCode::kUnknown, "nested deeper"));
  EXPECT_THAT(AddWithSecond("ADD) yes '[';;\n"),
              HasStatus(absl::StatusCode::kResourceExhausted, "second"));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ClientTest, OneThatHangsIsKilledAndTheChainUndone) {
  options_.timeout = absl::Milliseconds(500);
  const absl::Time start = absl::Now();
  EXPECT_THAT(AddWithSecond("ADD) sleep 1000 & sleep 1000;;\n"),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "second"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_THAT(
      Log(), ElementsAre("ADD first", "ADD second", "DEL second", "DEL first"));
}

TEST_F(ClientTest, UndoingGoesOnAfterAnErrorAndDelTriesAgain) {
  EXPECT_THAT(AddWithSecond("ADD) exit 1;;\nDEL) [ -e mended ];;\n"),
              HasStatus(absl::StatusCode::kUnknown,
                        "; undoing it: plugin second: DEL: "));
  EXPECT_THAT(
      Log(), ElementsAre("ADD first", "ADD second", "DEL second", "DEL first"));
  EXPECT_EQ(Records().size(), 1U);
  ASSERT_OK(WriteFileAtomic(dir_ / "mended", ""));
  EXPECT_OK(Client(options_).Del("c0ffee"));
  EXPECT_EQ(Input("first.DEL")["prevResult"], json::parse(kResult));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ClientTest, HostileAttachmentsReachNoPlugin) {
  GoodPlugin("first");
  ConfigureList(R"({"type":"first"})");
  Client client(options_);
  for (const auto& spoil : std::vector<void (*)(Attachment&)>{
           [](Attachment& a) { a.container_id = ""; },
           [](Attachment& a) { a.container_id = "../../etc/passwd"; },
           [](Attachment& a) { a.interface_name = "a/b"; },
           [](Attachment& a) { a.interface_name = "much-too-long-name"; },
           [](Attachment& a) {
             a.pod_name = "x;K8S_POD_NAMESPACE=kube-system";
           },
           [](Attachment& a) {
             a.pod_uid = std::string(256, 'u');  // not read back from a record
           },
           [](Attachment& a) {
             a.port_mappings = {{70000, 80, "tcp", ""}};
           },
           [](Attachment& a) {
             a.port_mappings = {{80, 80, "icmp", ""}};
           },
           [](Attachment& a) {
             a.port_mappings = {{80, 80, "tcp", "x"}};
           }}) {
    Attachment attachment = attachment_;
    spoil(attachment);
    EXPECT_THAT(client.Add(attachment),
                HasStatus(absl::StatusCode::kInvalidArgument, ""));
  }
  EXPECT_OK(client.Del("../../etc/passwd"));
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ClientTest, ServesManyPodsAtOnce) {
  GoodPlugin("first");
  ConfigureList(R"({"type":"first"})");
  Client client(options_);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      Attachment attachment = attachment_;
      attachment.container_id = absl::StrCat("pod", i);
      EXPECT_OK(client.Ready());
      EXPECT_OK(client.Add(attachment));
      EXPECT_OK(client.Attachments());
      EXPECT_OK(client.Del(attachment.container_id));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Log().size(), 16U);
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ClientTest, ADamagedRecordIsNotListedAndPutAsideAtDel) {
  GoodPlugin("first");
  Plugin("second", absl::StrCat("ADD) echo '", kResult, "';;\n",
                                "DEL) [ -e mended ];;\n"));
  ConfigureList(R"({"type":"first"},{"type":"second"})");
  Client client(options_);
  for (const std::string& damage :
       {std::string("{"), std::string(2 << 20, ' ')}) {
    ASSERT_OK(client.Add(attachment_));
    ASSERT_OK(
        WriteFileAtomic(options_.cache_dir + "/c0ffee@eth0.json", damage));
    ASSERT_OK_AND_ASSIGN(const auto attachments, client.Attachments());
    EXPECT_THAT(attachments, IsEmpty());
    ASSERT_OK(RemovePath(dir_ / "mended"));
    EXPECT_THAT(client.Del("c0ffee"),
                HasStatus(absl::StatusCode::kUnknown, "plugin second: DEL"));
    EXPECT_THAT(Records(), Contains("c0ffee@eth0.json"));
    ASSERT_OK(WriteFileAtomic(dir_ / "mended", ""));
    EXPECT_OK(client.Del("c0ffee"));
    EXPECT_THAT(Records(), ElementsAre("c0ffee@eth0.json.unreadable"));
    EXPECT_FALSE(Input("first.DEL").contains("prevResult"));
    EXPECT_THAT(Environment("first.DEL"),
                AllOf(HasSubstr("CNI_CONTAINERID=c0ffee\n"),
                      HasSubstr("CNI_NETNS=\n")));
    EXPECT_EQ(Log().back(), "DEL first");
  }
  EXPECT_OK(client.Del("c0ffee"));
}

}  // namespace
}  // namespace serai::cni
