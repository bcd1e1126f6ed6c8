// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "cri/config/config.h"
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

absl::StatusOr<serai::cri::Config> ReadConfig(const std::string& path,
                                              bool explicitly) {
  auto config = serai::cri::LoadConfig(path);
  // Without a file the defaults are meant, unless one was asked for.
  if (absl::IsNotFound(config.status()) && !explicitly) {
    return serai::cri::Config();
  }
  return config;
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
  app.set_version_flag("--version", std::string("seraid ") + serai::kVersion);
  CLI11_PARSE(app, argc, argv);

  spdlog::set_default_logger(spdlog::stderr_logger_mt("seraid"));
  spdlog::set_level(spdlog::level::from_str(log_level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");

  const sigset_t signals = BlockSignals();
  auto config = ReadConfig(config_path, !config_option->empty());
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
