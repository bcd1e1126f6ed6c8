// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "cri/config_command.h"
#include "cri/daemon.h"
#include "cri/log/log.h"
#include "cri/service/run.h"
#include "lib/base/version.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "seraid: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Serves until a signal ends it. An empty `log_level` is the configuration's.
int Serve(const std::string& config_path, bool must_exist,
          const std::string& log_level) {
  const sigset_t signals = BlockSignals();
  RaiseFileLimit();
  RunOptions options;
  options.read_config = [&] { return LoadConfig(config_path, must_exist); };
  options.log_level = log_level;
  const absl::StatusOr<Config> config = options.read_config();
  if (!config.ok()) return Fail(config.status());
  SetUpLog(log_level.empty() ? config->log.level : log_level,
           config->log.format);
  const auto daemon = Daemon::Start(*config);
  if (!daemon.ok()) return Fail(daemon.status());
  options.check_alive = [&] { return (*daemon)->CheckAlive(); };
  options.status =
      absl::StrCat("seraid ", kVersion, " serves ", config->cri.socket);
  spdlog::info("{}", options.status);
  RunUntilSignal(signals, *config, options);
  return 0;
}

}  // namespace
}  // namespace serai::cri

int main(int argc, char** argv) {
  CLI::App app("Kubernetes CRI server that runs unikernels as pods");
  std::string config_path = serai::cri::kDefaultConfigPath;
  std::string log_level;
  CLI::Option* config_option =
      app.add_option("--config", config_path, "Configuration file")
          ->capture_default_str();
  app.add_option("--log-level", log_level,
                 "debug, info, warn or error, in place of the configuration's")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
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

  // Asked for by name.
  const bool must_exist = !config_option->empty() || !check_option->empty();
  if (show_default->parsed()) {
    return std::fputs(serai::cri::DefaultToml().c_str(), stdout) < 0 ? 1 : 0;
  }
  if (check->parsed()) {
    return serai::cri::CheckConfig(config_path, must_exist);
  }
  return serai::cri::Serve(config_path, must_exist, log_level);
}
