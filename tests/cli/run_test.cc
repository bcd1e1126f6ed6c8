// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cli/cli_test.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace serai::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kPod[] =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"
    "  terminationGracePeriodSeconds: 3\n"
    "  containers:\n  - name: web\n    image: localhost/web:1\n";
constexpr char kLogLine[] = "2026-01-02T03:04:05Z stdout F ";

class RunTest : public CliTest {
 protected:
  // serai run of `pod` with its logs in the test's directory.
  Result Run(const std::string& pod, std::vector<std::string> more = {}) {
    EXPECT_OK(WriteFileAtomic(directory_ / "pod.yaml", pod));
    std::vector<std::string> args = {"run", directory_ / "pod.yaml",
                                     "--log-dir", logs_};
    args.insert(args.end(), more.begin(), more.end());
    return Serai(args);
  }

  // Nothing of a pod is there, in the daemon or on disk.
  void ExpectNothingLeft() {
    EXPECT_EQ(cri_.pods(), 0U);
    EXPECT_EQ(cri_.containers(), 0U);
    EXPECT_FALSE(PathExists(logs_));
  }

  const std::string logs_ = directory_ / "logs";
};

TEST_F(RunTest, StartsAPodAndSaysWhereItIs) {
  const std::string image = cri_.AddImage("localhost/web:1");
  const Result result = Run(kPod, {"-o", "json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(cri_.calls(), ElementsAre("RunPodSandbox", "CreateContainer",
                                        "StartContainer"));
  const auto json = result.Json();
  EXPECT_EQ(json["name"], "web");
  EXPECT_EQ(json["namespace"], "default");
  EXPECT_EQ(json["ip"], "127.0.0.1");
  EXPECT_EQ(json["state"], "Running");
  EXPECT_EQ(json["log_path"], logs_ + "/web/0.log");
  for (const char* step :
       {"RunPodSandbox", "CreateContainer", "StartContainer", "Ready"}) {
    EXPECT_TRUE(json["timings_ms"][step].is_number()) << step;
  }
  EXPECT_FALSE(json["timings_ms"].contains("PullImage"));

  const auto run = cri_.last_run();
  EXPECT_EQ(run.runtime_handler(), "unikernel");
  EXPECT_EQ(run.config().log_directory(), logs_);
  EXPECT_EQ(run.config().metadata().uid().size(), 36U);
  EXPECT_EQ(json["uid"], run.config().metadata().uid());
  const auto create = cri_.last_create();
  EXPECT_EQ(create.config().image().image(), image);
  EXPECT_EQ(create.config().image().user_specified_image(), "localhost/web:1");
  EXPECT_EQ(create.sandbox_config().SerializeAsString().size(),
            run.config().SerializeAsString().size());

  EXPECT_EQ(Serai({"rm", "web"}).code, 0);
  ExpectNothingLeft();
}

TEST_F(RunTest, PrintsATableAndTheTimes) {
  cri_.AddImage("localhost/web:1");
  const Result result = Run(kPod, {"--time"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("127.0.0.1"));
  EXPECT_THAT(result.out, HasSubstr("StartContainer"));
  EXPECT_THAT(result.out, HasSubstr(" ms"));
}

TEST_F(RunTest, ReadsStandardInput) {
  cri_.AddImage("localhost/web:1");
  EXPECT_EQ(Serai({"run", "-", "--log-dir", logs_}, kPod).code, 0);
  EXPECT_EQ(cri_.pods(), 1U);
}

TEST_F(RunTest, PullsByPolicy) {
  EXPECT_EQ(Run(kPod, {"-o", "json"}).Json()["timings_ms"].count("PullImage"),
            1U);
  EXPECT_EQ(cri_.last_pull().image().image(), "localhost/web:1");
  EXPECT_EQ(Serai({"rm", "web"}).code, 0);
  // It is here now: not again, unless told to.
  Run(kPod);
  EXPECT_EQ(Serai({"rm", "web"}).code, 0);
  Run(kPod, {"--pull", "always", "--handler", "other"});
  const auto calls = cri_.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "PullImage"), 2);
  EXPECT_EQ(cri_.last_run().runtime_handler(), "other");
}

TEST_F(RunTest, NeverPullsWhatMustNotBePulled) {
  const Result result = Run(kPod, {"--pull", "never"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, IsOneError("image localhost/web:1 is not here and is "
                                     "never to be pulled"));
  EXPECT_THAT(cri_.calls(), IsEmpty());
  ExpectNothingLeft();
}

TEST_F(RunTest, RefusesAPodThatIsThere) {
  cri_.AddImage("localhost/web:1");
  cri_.AddPod("default", "web");
  const Result result = Run(kPod);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, IsOneError("there is a pod default/web already"));
  EXPECT_THAT(cri_.calls(), IsEmpty());
}

TEST_F(RunTest, LeavesNothingWhenAStepFails) {
  cri_.AddImage("localhost/web:1");
  const std::vector<std::pair<std::string, std::string>> steps = {
      {"RunPodSandbox", "running the pod: no such handler"},
      {"PodSandboxStatus", "running the pod: no such handler"},
      {"CreateContainer", "creating the container: no such handler"},
      {"StartContainer", "starting the container: no such handler"},
      {"ListPodSandbox", "listing pods: no such handler"},
      {"ImageStatus", "looking for image localhost/web:1: no such handler"}};
  for (const auto& [method, message] : steps) {
    cri_.Fail(method, absl::InvalidArgumentError("no such handler"));
    const Result result = Run(kPod);
    EXPECT_EQ(result.code, 1) << method;
    EXPECT_THAT(result.err, HasSubstr(message)) << method;
    cri_.Fail(method, absl::OkStatus());
    if (method == "PodSandboxStatus") {
      // Nor could it be removed without its status.
      EXPECT_THAT(result.err, HasSubstr("note: removing the pod: "));
      EXPECT_EQ(Serai({"rm", "-a"}).code, 0);
    } else {
      EXPECT_THAT(result.err, IsOneError(message)) << method;
    }
    ExpectNothingLeft();
  }
}

TEST_F(RunTest, FailedPullSaysWhy) {
  cri_.Fail("PullImage", absl::UnknownError("RegistryUnavailable: refused"));
  const Result result = Run(kPod);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err,
              IsOneError("pulling image localhost/web:1: RegistryUnavailable"));
}

TEST_F(RunTest, AGuestThatFailsAtOnceIsShownAndRemoved) {
  cri_.AddImage("localhost/web:1");
  cri_.SetLog(absl::StrCat(kLogLine, "out of cheese\n"));
  cri_.ExitAtStart(3);
  const Result result = Run(kPod);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("serai: log: out of cheese\n"));
  EXPECT_THAT(result.err, HasSubstr("serai: container web ended with exit code "
                                    "3 (Error)\n"));
  ExpectNothingLeft();
}

TEST_F(RunTest, AGuestThatIsDoneAtOnceIsNoFailure) {
  cri_.AddImage("localhost/web:1");
  cri_.ExitAtStart(0);
  const Result result = Run(kPod, {"-o", "json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.Json()["state"], "Exited");
}

TEST_F(RunTest, WaitsForTheReadinessProbe) {
  cri_.AddImage("localhost/web:1");
  std::atomic<int> asked = 0;
  testing::HttpServer server([&](const testing::HttpServerRequest& request,
                                 testing::HttpServer::Reply& reply) {
    EXPECT_EQ(request.path, "/healthz");
    reply.Answer(++asked < 3 ? 503 : 204, "");
  });
  const std::string port = server.host().substr(server.host().find(':') + 1);
  const Result result =
      Run(absl::StrCat(kPod,
                       "    readinessProbe: {httpGet: {path: /healthz, "
                       "port: ",
                       port, "}}\n"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(asked, 3);
}

TEST_F(RunTest, GivesUpOnAPodThatIsNotReadyInTime) {
  cri_.AddImage("localhost/web:1");
  testing::HttpServer server(
      [](const testing::HttpServerRequest&, testing::HttpServer::Reply& reply) {
        reply.Answer(500, "");
      });
  const std::string port = server.host().substr(server.host().find(':') + 1);
  const Result result = Run(
      absl::StrCat(kPod, "    readinessProbe: {httpGet: {port: ", port, "}}\n"),
      {"--timeout", "300ms"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err,
              IsOneError("the pod is not ready after 300ms: its readiness "
                         "probe: it answered with HTTP status 500"));
  ExpectNothingLeft();
}

TEST_F(RunTest, ProbesTcp) {
  cri_.AddImage("localhost/web:1");
  testing::HttpServer server(
      [](const testing::HttpServerRequest&, testing::HttpServer::Reply&) {});
  const std::string port = server.host().substr(server.host().find(':') + 1);
  EXPECT_EQ(Run(absl::StrCat(kPod, "    readinessProbe: {tcpSocket: {port: ",
                             port, "}}\n"))
                .code,
            0);
  EXPECT_EQ(Serai({"rm", "web"}).code, 0);
  const Result refused =
      Run(absl::StrCat(kPod, "    readinessProbe: {tcpSocket: {port: 1}}\n"),
          {"--timeout", "200ms"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, IsOneError("its readiness probe: "));
}

TEST_F(RunTest, WithRmTheLogIsTheOutputAndTheCodeTheContainers) {
  cri_.AddImage("localhost/web:1");
  cri_.SetLog(absl::StrCat(kLogLine, "one\n", kLogLine, "two\n"));
  cri_.ExitAtStart(7);
  const Result result = Run(kPod, {"--rm"});
  EXPECT_EQ(result.code, 7) << result.err;
  EXPECT_EQ(result.out, "one\ntwo\n");
  EXPECT_THAT(result.err, HasSubstr("127.0.0.1"));
  ExpectNothingLeft();
}

TEST_F(RunTest, WithRmFollowsUntilTheContainerEnds) {
  cri_.AddImage("localhost/web:1");
  cri_.SetLog(absl::StrCat(kLogLine, "up\n"));
  std::thread ender([&] {
    while (cri_.containers() == 0) absl::SleepFor(absl::Milliseconds(5));
    absl::SleepFor(absl::Milliseconds(200));
    cri_.ExitAll(0);
  });
  const Result result = Run(kPod, {"--rm"});
  ender.join();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "up\n");
  ExpectNothingLeft();
}

TEST_F(RunTest, InterruptStopsAndRemoves) {
  cri_.AddImage("localhost/web:1");
  std::thread interrupter([&] {
    while (cri_.containers() == 0) absl::SleepFor(absl::Milliseconds(5));
    absl::SleepFor(absl::Milliseconds(200));
    ::raise(SIGINT);
  });
  const Result result = Run(kPod, {"--rm"});
  interrupter.join();
  EXPECT_EQ(result.code, 143) << result.err;
  EXPECT_EQ(cri_.last_stop().timeout(), 3);
  ExpectNothingLeft();
}

TEST_F(RunTest, RefusesABadManifestBeforeAnythingElse) {
  const Result result =
      Run("{apiVersion: v1, kind: Pod, metadata: {name: a}, "
          "spec: {containers: [{}, {}]}}");
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err,
              IsOneError("pod.yaml: spec.containers: a unikernel pod has "
                         "exactly one container (found 2)"));
  EXPECT_THAT(Run(std::string(2 << 20, '#')).err, IsOneError("pod.yaml"));
  EXPECT_THAT(Serai({"run", directory_ / "none.yaml"}).err,
              IsOneError("none.yaml"));
  EXPECT_THAT(cri_.calls(), IsEmpty());
}

TEST_F(RunTest, TheEnvironmentNamesTheLogBase) {
  cri_.AddImage("localhost/web:1");
  EXPECT_OK(WriteFileAtomic(directory_ / "pod.yaml", kPod));
  ::setenv("SERAI_LOG_DIR", (directory_ / "base").c_str(), 1);
  const Result result = Serai({"run", directory_ / "pod.yaml", "-o", "json"});
  ::unsetenv("SERAI_LOG_DIR");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = result.Json();
  EXPECT_EQ(json["log_path"],
            absl::StrCat(directory_ / "base", "/default_web_",
                         json["uid"].get<std::string>(), "/web/0.log"));
}

}  // namespace
}  // namespace serai::cli
