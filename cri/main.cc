// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>

#include "cri/config_command.h"
#include "cri/daemon.h"
#include "lib/base/version.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace {

// Blocked before the first thread is made, so that all have it so and main
// takes them by sigwait.
sigset_t BlockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A shim or client that goes away is an error of a write, not our end.
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Each pod takes some descriptors, and each forwarded connection two. What the
// limit is by default is for programs that select(2).
void RaiseFileLimit() {
  constexpr rlim_t kEnough = 65536;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) {
    return;
  }
  limit.rlim_cur = std::min(limit.rlim_max, kEnough);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "seraid: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Kubernetes CRI server that runs unikernels as pods");
  std::string config_path = serai::cri::kDefaultConfigPath;
  std::string log_level = "info";
  CLI::Option* config_option =
      app.add_option("--config", config_path, "Configuration file")
          ->capture_default_str();
  app.add_option("--log-level", log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  CLI::App* config_command =
      app.add_subcommand("config", "Show or check the configuration")
          ->require_subcommand(1);
  CLI::App* show_default = config_command->add_subcommand(
      "default", "Print a configuration file with every default");
  CLI::App* check = config_command->add_subcommand(
      "check", "Say what is wrong with a configuration file and its drop-ins");
  CLI::Option* check_option =
      check->add_option("FILE", config_path, "Default: that of --config");
  app.set_version_flag("--version", std::string("seraid ") + serai::kVersion);
  CLI11_PARSE(app, argc, argv);
  const bool explicitly = !config_option->empty() || !check_option->empty();
  if (show_default->parsed()) {
    return std::fputs(serai::cri::DefaultToml().c_str(), stdout) < 0 ? 1 : 0;
  }
  if (check->parsed()) {
    return serai::cri::CheckConfig(config_path, explicitly);
  }

  spdlog::set_default_logger(spdlog::stderr_logger_mt("seraid"));
  spdlog::set_level(spdlog::level::from_str(log_level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");

  const sigset_t signals = BlockSignals();
  RaiseFileLimit();
  auto config = serai::cri::ReadConfig(config_path, explicitly);
  if (!config.ok()) return Fail(config.status());
  const std::string socket = config->cri.socket;
  auto daemon = serai::cri::Daemon::Start(*std::move(config));
  if (!daemon.ok()) return Fail(daemon.status());
  spdlog::info("seraid {} serves {}", serai::kVersion, socket);

  int signal_number = 0;
  ::sigwait(&signals, &signal_number);
  spdlog::info("signal {}: stopping; pods go on", signal_number);
  return 0;
}
