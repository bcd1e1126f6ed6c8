// SPDX-License-Identifier: Apache-2.0
// serai run: a pod from a manifest.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/cri_log.h"
#include "cli/interrupt.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/pod_run.h"
#include "cli/pods.h"
#include "cli/removal.h"
#include "cli/yaml.h"
#include "lib/base/file.h"

namespace serai::cli {
namespace {

constexpr char kDefaultLogBase[] = "/var/log/serai/pods";

struct RunOptions {
  std::string manifest;
  std::string handler;  // empty: the manifest's
  std::string pull;     // "missing", "always", "never"; empty: the manifest's
  std::string log_directory;  // empty: below the base
  std::string timeout = "60s";
  bool remove = false;
  bool time = false;
};

// "90s", "1m30s", or a number of seconds; nullopt for anything else.
std::optional<absl::Duration> ParseTimeout(std::string text) {
  if (!text.empty() &&
      absl::ascii_isdigit(static_cast<unsigned char>(text.back()))) {
    text += 's';
  }
  absl::Duration timeout;
  if (!absl::ParseDuration(text, &timeout) || timeout < absl::ZeroDuration() ||
      timeout > absl::Hours(24)) {
    return std::nullopt;
  }
  return timeout;
}

PullPolicy PolicyOf(const std::string& name) {
  if (name == "always") return PullPolicy::kAlways;
  return name == "never" ? PullPolicy::kNever : PullPolicy::kMissing;
}

absl::StatusOr<PodManifest> LoadManifest(Invocation& invocation,
                                         const RunOptions& options) {
  std::string text;
  if (options.manifest == "-") {
    text.resize(kMaxYamlBytes + 1);
    invocation.in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(invocation.in.gcount()));
  } else {
    ASSIGN_OR_RETURN(text, ReadFile(options.manifest, kMaxYamlBytes));
  }
  ASSIGN_OR_RETURN(PodManifest manifest, ParsePodManifest(text),
                   options.manifest == "-" ? "the manifest" : options.manifest);
  if (!options.handler.empty()) manifest.runtime_handler = options.handler;
  if (!options.pull.empty()) manifest.pull_policy = PolicyOf(options.pull);
  for (const std::string& note : manifest.notes) invocation.Note(note);
  return manifest;
}

absl::StatusOr<std::string> LogDirectory(const RunOptions& options,
                                         const v1::PodSandboxMetadata& pod) {
  std::string directory = options.log_directory;
  if (directory.empty()) {
    const char* base = std::getenv("SERAI_LOG_DIR");
    directory = JoinPath(
        base == nullptr || *base == '\0' ? kDefaultLogBase : base,
        absl::StrCat(pod.namespace_(), "_", pod.name(), "_", pod.uid()));
  }
  std::error_code error;
  const auto path = std::filesystem::absolute(directory, error);
  if (error) return ErrnoStatus(error.value(), directory);
  return path.string();
}

double Milliseconds(absl::Duration time) {
  return absl::ToDoubleMilliseconds(time);
}

nlohmann::json RunJson(const PodRun& run) {
  const auto& metadata = run.manifest().sandbox.metadata();
  nlohmann::json timings = nlohmann::json::object();
  for (const auto& timing : run.timings()) {
    timings[timing.step] = Milliseconds(timing.time);
  }
  return {{"name", metadata.name()},
          {"namespace", metadata.namespace_()},
          {"uid", metadata.uid()},
          {"id", run.pod_id()},
          {"container_id", run.container_id()},
          {"ip", run.ip()},
          {"state", StateName(run.container().state())},
          {"log_path", run.log_path()},
          {"timings_ms", std::move(timings)}};
}

void PrintRun(std::ostream& out, const PodRun& run, bool time) {
  Table table({"NAME", "NAMESPACE", "ID", "IP", "STATE"});
  const auto& metadata = run.manifest().sandbox.metadata();
  table.Add({metadata.name(), metadata.namespace_(), ShortId(run.pod_id()),
             run.ip(), StateName(run.container().state())});
  table.Print(out);
  if (!time) return;
  out << '\n';
  Table steps({"STEP", "TIME"});
  for (const auto& timing : run.timings()) {
    steps.Add(
        {timing.step, absl::StrFormat("%.1f ms", Milliseconds(timing.time))});
  }
  steps.Print(out);
}

// The end of the log of a container that is about to be removed with it.
void ShowLogEnd(const std::string& path, std::ostream& err) {
  constexpr int64_t kLines = 10;
  std::ostringstream text;
  if (path.empty() || !PrintLog(path, {false, kLines}, text).ok()) return;
  for (const absl::string_view line : absl::StrSplit(text.str(), '\n')) {
    if (!line.empty()) err << "serai: log: " << Printable(line) << '\n';
  }
}

// Shows the log until the container ends or the user has enough, and removes
// the pod. Returns the container's exit code.
absl::StatusOr<int> Attend(Invocation& invocation, Client& client, PodRun& run,
                           const InterruptGuard& interrupt) {
  const auto ended = [&]() -> absl::StatusOr<bool> {
    if (interrupt.Raised()) return true;
    ASSIGN_OR_RETURN(const auto now,
                     StatusOfContainer(client, run.container_id()));
    return now.state() == v1::CONTAINER_EXITED;
  };
  RETURN_IF_ERROR(FollowLog(run.log_path(), {}, invocation.out, ended));
  ASSIGN_OR_RETURN(auto status, StatusOfContainer(client, run.container_id()));
  if (status.state() != v1::CONTAINER_EXITED) {
    v1::StopContainerRequest stop;
    stop.set_container_id(run.container_id());
    stop.set_timeout(GraceOf(status));
    RETURN_IF_ERROR(client.StopContainer(stop).status(),
                    "stopping the container");
    ASSIGN_OR_RETURN(status, StatusOfContainer(client, run.container_id()));
  }
  // What does not fit an exit code must not become a 0.
  const int32_t code = status.exit_code();
  return code < 0 || code > 255 ? 255 : code;
}

absl::StatusOr<int> StartAndReport(Invocation& invocation,
                                   const RunOptions& options, Client& client,
                                   PodRun& run, Rollback& rollback,
                                   const InterruptGuard& interrupt) {
  ASSIGN_OR_RETURN(const std::string directory,
                   LogDirectory(options, run.manifest().sandbox.metadata()));
  RETURN_IF_ERROR(run.Start(directory, rollback));
  RETURN_IF_ERROR(
      run.WaitReady(*ParseTimeout(options.timeout), options.remove));
  // With --rm standard output is the log's.
  std::ostream& out = options.remove ? invocation.err : invocation.out;
  if (invocation.json()) {
    PrintJson(out, RunJson(run));
  } else {
    PrintRun(out, run, options.time);
  }
  out.flush();
  int code = 0;
  if (options.remove) {
    ASSIGN_OR_RETURN(code, Attend(invocation, client, run, interrupt));
  }
  rollback.Commit();
  if (options.remove) {
    RETURN_IF_ERROR(RemovePod(client, run.pod_id(), std::nullopt));
  }
  return code;
}

absl::StatusOr<int> Run(Invocation& invocation, const RunOptions& options) {
  ASSIGN_OR_RETURN(PodManifest manifest, LoadManifest(invocation, options));
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  // Up to here, and while an image is pulled, an interrupt may just end us.
  std::optional<InterruptGuard> interrupt;
  PodRun run(*client, std::move(manifest),
             [&interrupt] { return interrupt && interrupt->Raised(); });
  RETURN_IF_ERROR(run.CheckName());
  RETURN_IF_ERROR(run.EnsureImage());
  interrupt.emplace();
  Rollback rollback([&](const std::string& what, const absl::Status& error) {
    invocation.Note(absl::StrCat(what, ": ", error.message()));
  });
  const auto code =
      StartAndReport(invocation, options, *client, run, rollback, *interrupt);
  if (!code.ok() && !absl::IsCancelled(code.status())) {
    ShowLogEnd(run.log_path(), invocation.err);
  }
  return code;
}

}  // namespace

void AddRunCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand(
      "run", "Run a pod from a Kubernetes manifest, until it is ready");
  const auto options = std::make_shared<RunOptions>();
  command
      .add_option(
          "MANIFEST", options->manifest,
          "a file with a v1 Pod in YAML or JSON; - reads standard input")
      ->required();
  command.add_flag("--rm", options->remove,
                   "show the log until the container ends or Ctrl-C, then "
                   "remove the pod; exits with the container's code");
  command.add_option("--handler", options->handler,
                     "runtime handler, in place of spec.runtimeClassName");
  command
      .add_option("--timeout", options->timeout,
                  "how long to wait until the pod is ready")
      ->check([](const std::string& text) -> std::string {
        if (ParseTimeout(text).has_value()) return "";
        return absl::StrCat("\"", text, "\" is not a time such as 90s or 2m");
      })
      ->type_name("TIME")
      ->capture_default_str();
  command.add_option("--pull", options->pull, "in place of imagePullPolicy")
      ->check(CLI::IsMember({"missing", "always", "never"}).description(""))
      ->type_name("missing|always|never");
  command
      .add_option("--log-dir", options->log_directory,
                  "the pod's log directory; else one below $SERAI_LOG_DIR or "
                  "/var/log/serai/pods")
      ->type_name("DIR");
  command.add_flag("--time", options->time, "say how long each step took");
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation, options] {
    invocation.action = [&invocation, options] {
      return Run(invocation, *options);
    };
  });
}

}  // namespace serai::cli
