// SPDX-License-Identifier: Apache-2.0
// /metrics of a real seraid: what docs/metrics.md promises is there, and right.
#include <signal.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/cgroup.h"
#include "tests/integration/bad_input.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    NodeOptions options;
    options.chained = {};
    options.metrics_address = "127.0.0.1:0";
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    ASSERT_OK_AND_ASSIGN(web_, node_->LoadGuests("web", {"web.spt"}));
  }

  // The port that the daemon says it has taken.
  int Port() const {
    const std::string log = node_->DaemonLog();
    const std::string before = "metrics are at http://127.0.0.1:";
    const size_t at = log.rfind(before);
    int port = 0;
    if (at != std::string::npos) port = std::atoi(&log[at + before.size()]);
    EXPECT_GT(port, 0) << log;
    return port;
  }

  std::string Scrape() {
    const auto answer =
        HttpGet("127.0.0.1", Port(), "/metrics", absl::Seconds(15));
    EXPECT_OK(answer);
    return answer.value_or("");
  }

  // The value of a sample, by its name and labels as they stand in the text.
  static std::optional<double> Value(const std::string& text,
                                     const std::string& sample) {
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      absl::string_view rest = line;
      double value = 0;
      if (absl::ConsumePrefix(&rest, sample + " ") &&
          absl::SimpleAtod(rest, &value)) {
        return value;
      }
    }
    return std::nullopt;
  }

  std::unique_ptr<TestNode> node_;
  std::string web_;
};

// The families of a scrape by their names: with a counter's suffix.
std::set<std::string> FamiliesIn(const std::string& text) {
  std::set<std::string> names;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 4 && words[0] == "#" && words[1] == "TYPE") {
      names.insert(words[2]);
    }
  }
  return names;
}

// Those of the table in docs/metrics.md.
std::set<std::string> FamiliesInDocumentation() {
  std::set<std::string> names;
  const auto text = ReadFile(SERAI_SOURCE_DIR "/docs/metrics.md", 1 << 20);
  EXPECT_OK(text);
  for (absl::string_view line : absl::StrSplit(text.value_or(""), '\n')) {
    if (!absl::ConsumePrefix(&line, "| `")) continue;
    names.insert(std::string(line.substr(0, line.find('`'))));
  }
  return names;
}

TEST_F(MetricsTest, TheDocumentationListsWhatAScrapeHas) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK(node_->RemovePod(web.pod));
  EXPECT_EQ(FamiliesIn(Scrape()), FamiliesInDocumentation());
}

TEST_F(MetricsTest, CallsStepsAndEndsAreCounted) {
  ASSERT_OK_AND_ASSIGN(const std::string exit,
                       node_->LoadGuests("exit", {"exit.spt"}));
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto run, node_->Run(absl::StrCat("pod", i),
                                                    exit, {"--status=7"}));
    ASSERT_OK(node_->WaitExited(run.container));
    ASSERT_OK(node_->RemovePod(run.pod));
  }
  EXPECT_FALSE(node_->RunPod("refused", "no-such-handler").ok());
  ASSERT_OK(node_->Run("web", web_));
  const std::string text = Scrape();
  const auto is = [&](const std::string& sample, double value) {
    EXPECT_EQ(Value(text, sample).value_or(-1), value) << sample << "\n"
                                                       << text;
  };
  is(R"(serai_cri_request_duration_seconds_count{code="OK",)"
     R"(method="RunPodSandbox"})",
     4);
  is(R"(serai_cri_request_duration_seconds_count{code="INVALID_ARGUMENT",)"
     R"(method="RunPodSandbox"})",
     1);
  is(R"(serai_cni_duration_seconds_count{operation="add",result="ok"})", 4);
  is(R"(serai_cni_duration_seconds_count{operation="del",result="ok"})", 3);
  is(R"(serai_shim_start_duration_seconds_count{result="ok"})", 4);
  is(R"(serai_guest_start_duration_seconds_count{result="ok"})", 4);
  is(R"(serai_guest_ends_total{reason="Error"})", 3);
  is(R"(serai_pods{state="ready"})", 1);
  is(R"(serai_containers{state="running"})", 1);
  is(R"(serai_containers{state="exited"})", 0);
  is("serai_images", 2);
  EXPECT_GT(Value(text, "serai_images_size_bytes").value_or(0), 1000);
  EXPECT_GT(Value(text, "process_resident_memory_bytes").value_or(0), 1 << 20);
  EXPECT_NEAR(Value(text, "process_start_time_seconds").value_or(0),
              static_cast<double>(absl::ToUnixSeconds(absl::Now())), 600);
}

TEST_F(MetricsTest, AGuestsDevicesAreCounted) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->PodStatusOf(web.pod));
  const std::string labels = absl::StrCat(
      R"({namespace=")", status.metadata().namespace_(), R"(",pod="web",uid=")",
      status.metadata().uid(), R"(",container="c",device="service"})");
  const std::string text = Scrape();
  EXPECT_GT(
      Value(text, "serai_guest_net_receive_bytes_total" + labels).value_or(0),
      100)
      << text;
  EXPECT_GT(
      Value(text, "serai_guest_net_transmit_frames_total" + labels).value_or(0),
      2);
  EXPECT_EQ(Value(text, "serai_scrape_missing_guests").value_or(-1), 0);
  ASSERT_OK(node_->RemovePod(web.pod));
  EXPECT_THAT(Scrape(), Not(HasSubstr("pod=\"web\"")));
}

TEST_F(MetricsTest, AStuckShimHoldsUpNoScrape) {
  ASSERT_OK_AND_ASSIGN(const auto stuck, node_->Run("stuck", web_));
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK_AND_ASSIGN(const auto cgroups, host::CgroupHierarchy::Detect());
  ASSERT_OK_AND_ASSIGN(
      const auto sandbox,
      host::Cgroup::Open(cgroups, node_->cgroup_parent() + "/" + stuck.pod));
  ASSERT_OK_AND_ASSIGN(const std::vector<pid_t> pids, sandbox.Processes());
  ASSERT_EQ(pids.size(), 1u);
  const pid_t shim = pids.front();
  ASSERT_EQ(::kill(shim, SIGSTOP), 0);
  const auto go_on = absl::MakeCleanup([shim] { ::kill(shim, SIGCONT); });
  for (int i = 0; i < 3; ++i) {
    const absl::Time start = absl::Now();
    const std::string text = Scrape();
    EXPECT_LT(absl::Now() - start, absl::Seconds(10));
    EXPECT_EQ(Value(text, "serai_scrape_missing_guests").value_or(-1), 1);
    EXPECT_THAT(text, HasSubstr("pod=\"web\""));
    EXPECT_THAT(text,
                Not(ContainsRegex("serai_guest_[a-z_]*\\{[^}]*pod=\"stuck\"")));
  }
  ASSERT_EQ(::kill(shim, SIGCONT), 0);
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  double missing = 1;
  while (missing != 0 && absl::Now() < deadline) {
    missing = Value(Scrape(), "serai_scrape_missing_guests").value_or(1);
  }
  EXPECT_EQ(missing, 0);
}

TEST_F(MetricsTest, AnAddressThatIsTakenStopsTheStart) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(
      dir / "config.toml",
      absl::StrCat("version = 1\nroot = \"", dir / "root", "\"\nstate = \"",
                   dir / "state", "\"\n[cri]\nsocket = \"", dir / "socket",
                   "\"\n[cgroup]\nparent = \"", node_->cgroup_parent(),
                   "-2\"\n[metrics]\naddress = \"127.0.0.1:", Port(), "\"\n")));
  SubprocessSpec spec;
  spec.program = BuildDir() + "/bin/seraid";
  spec.args = {"--config", dir / "config.toml"};
  spec.timeout = absl::Seconds(20);
  ASSERT_OK_AND_ASSIGN(const SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error_output,
              HasSubstr(absl::StrCat("[metrics] address: can't listen on "
                                     "127.0.0.1:",
                                     Port(), ": Address already in use")));
  EXPECT_FALSE(PathExists(dir / "socket"));
}

TEST_F(MetricsTest, WithoutAnAddressNobodyListens) {
  NodeOptions options;
  options.chained = {};
  TestNode quiet(options);
  quiet.Start();
  EXPECT_THAT(quiet.DaemonLog(), Not(HasSubstr("metrics are at")));
}

}  // namespace
}  // namespace serai::testing
