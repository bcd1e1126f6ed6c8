// SPDX-License-Identifier: Apache-2.0
// A node whose network can't be set up: it says so in its status, and a pod
// that fails for it takes back what came before, Debian's bridge included.
#include <sys/stat.h>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

// Behaves as the file "mode" beside it says; else hands on what it is given.
constexpr char kMoodyPlugin[] = R"(#!/bin/sh
input=$(cat)
mode=$(cat "${0%/*}/mode")
if [ "$CNI_COMMAND" = ADD ]; then
  case $mode in
    fail) echo '{"cniVersion":"1.0.0","code":7,"msg":"not on Tuesdays"}'
          exit 1 ;;
    mute) echo 'lost my keys' >&2
          exit 3 ;;
    hang) sleep 60 ;;
    rubbish) echo 'It worked!'
             exit 0 ;;
    lie) echo '{"cniVersion":"1.0.0","ips":[{"address":"no address"}]}'
         exit 0 ;;
    flood) exec yes ;;
  esac
fi
printf %s "$input" | exec /usr/lib/cni/tuning
)";

constexpr char kConflist[] =
    R"({"cniVersion":"1.0.0","name":"moody","plugins":[
        {"type":"bridge","bridge":"srtmoody","isGateway":true,
         "ipam":{"type":"host-local","dataDir":"@DIR@/ipam",
                 "ranges":[[{"subnet":"10.79.0.0/24"}]]}},
        {"type":"moody"}]})";

class BadNetworkTest : public BadInputTest {
 protected:
  cri::RuntimeCondition NetworkReady() {
    const auto response =
        CallCri(node_->runtime(), &cri::RuntimeService::Stub::Status,
                cri::StatusRequest());
    EXPECT_OK(response);
    for (const auto& condition : response->status().conditions()) {
      if (condition.type() == "NetworkReady") return condition;
    }
    return cri::RuntimeCondition();
  }

  // A node whose network ends in a plugin of moods.
  void StartMoodyNode() {
    ASSERT_OK(WriteFileAtomic(plugins_ / "moody", kMoodyPlugin, 0755));
    SetMood("good");
    NodeOptions options;
    options.plugin_dir = plugins_.path();
    options.conflist =
        absl::StrReplaceAll(kConflist, {{"@DIR@", plugins_.path()}});
    options.more_config = "timeout = \"3s\"\n";
    ASSERT_NO_FATAL_FAILURE(StartNode(std::move(options)));
    EXPECT_TRUE(NetworkReady().status()) << NetworkReady().message();
  }
  void SetMood(const std::string& mood) {
    ASSERT_OK(WriteFileAtomic(plugins_ / "mode", mood));
  }
  std::vector<std::string> Leases() const {
    return ListDir(plugins_ / "ipam/moody")
        .value_or(std::vector<std::string>());
  }

  void ExpectRefused(const std::string& mood, absl::StatusCode code,
                     const std::string& message) {
    SetMood(mood);
    Mark();
    const auto leases = Leases();
    const auto pod = node_->RunPod("pod");
    EXPECT_THAT(pod, HasStatus(code, "setting up the network: "));
    EXPECT_THAT(pod, HasStatus(code, "plugin moody: ADD"));
    EXPECT_THAT(pod, HasStatus(code, message));
    ExpectNothingNew();
    EXPECT_EQ(Leases(), leases);
    EXPECT_TRUE(node_->Pods().empty());
    // The name is free again, and the node works on.
    SetMood("good");
    ASSERT_OK_AND_ASSIGN(const std::string again, node_->RunPod("pod"));
    EXPECT_OK(node_->RemovePod(again));
    ExpectNothingNew();
    EXPECT_EQ(Leases().size(), leases.size());
  }

  const TempDir plugins_;
};

TEST_F(BadNetworkTest, WithoutAConfigurationNothingIsReady) {
  NodeOptions options;
  options.conflist = "none";
  node_ = std::make_unique<TestNode>(options);
  ASSERT_NO_FATAL_FAILURE(node_->Start());
  Mark();
  EXPECT_FALSE(NetworkReady().status());
  EXPECT_EQ(NetworkReady().reason(), "NetworkPluginNotReady");
  EXPECT_THAT(NetworkReady().message(), HasSubstr(node_->directory()));
  const auto pod = node_->RunPod("pod");
  EXPECT_THAT(pod, HasStatus(absl::StatusCode::kUnavailable, "network"));
  EXPECT_THAT(pod,
              HasStatus(absl::StatusCode::kUnavailable, node_->directory()));
  ExpectNothingNew();
  EXPECT_TRUE(node_->Pods().empty());
}

TEST_F(BadNetworkTest, AConfigurationThatIsNoneNamesItsFile) {
  for (const auto& [conflist, message] :
       {std::pair("{\"cniVersion\":", "10-test.conflist"),
        std::pair(R"({"cniVersion":"1.0.0","name":"n",
                      "plugins":[{"type":"teleport"}]})",
                  "plugin teleport: no program in")}) {
    NodeOptions options;
    options.conflist = conflist;
    node_ = std::make_unique<TestNode>(options);
    ASSERT_NO_FATAL_FAILURE(node_->Start());
    Mark();
    EXPECT_FALSE(NetworkReady().status());
    EXPECT_THAT(NetworkReady().message(), HasSubstr(message));
    EXPECT_THAT(node_->RunPod("pod"),
                HasStatus(absl::StatusCode::kUnavailable, message));
    ExpectNothingNew();
    node_.reset();
  }
}

TEST_F(BadNetworkTest, APluginThatFailsIsQuoted) {
  ASSERT_NO_FATAL_FAILURE(StartMoodyNode());
  ExpectRefused("fail", absl::StatusCode::kUnknown, "not on Tuesdays (code 7)");
  ExpectRefused("mute", absl::StatusCode::kUnknown, "exit code 3");
  ExpectRefused("mute", absl::StatusCode::kUnknown, "lost my keys");
}

TEST_F(BadNetworkTest, APluginThatHangsIsEnded) {
  ASSERT_NO_FATAL_FAILURE(StartMoodyNode());
  const absl::Time start = absl::Now();
  ExpectRefused("hang", absl::StatusCode::kDeadlineExceeded, "3s");
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST_F(BadNetworkTest, APluginThatPrintsRubbishIsNotBelieved) {
  ASSERT_NO_FATAL_FAILURE(StartMoodyNode());
  ExpectRefused("rubbish", absl::StatusCode::kUnknown,
                "ADD answered with line 1, column 1: not JSON");
  ExpectRefused("flood", absl::StatusCode::kResourceExhausted, "");
}

TEST_F(BadNetworkTest, AResultWithoutAnAddressIsNotBelieved) {
  ASSERT_NO_FATAL_FAILURE(StartMoodyNode());
  SetMood("lie");
  Mark();
  EXPECT_THAT(node_->RunPod("pod"),
              HasStatus(absl::StatusCode::kUnknown, "no address"));
  ExpectNothingNew();
}

}  // namespace
}  // namespace serai::testing
