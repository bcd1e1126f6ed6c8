// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the commands of `serai` share. Each family of commands is one file with
// an Add…Commands function: it declares its options to CLI11 and sets, when its
// command was given, the action to run. A command hands its errors up; only
// RunCli says them to the user.

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace CLI {
class App;
}

namespace serai::cli {

class Client;

inline constexpr char kDefaultSocket[] = "/run/serai/seraid.sock";
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

// One run of the program: where it reads and writes, and what was asked.
struct Invocation {
  // The action's exit code, or its error.
  using Action = std::function<absl::StatusOr<int>()>;

  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;
  std::string socket = kDefaultSocket;
  std::string format = "table";  // or "json"
  // What stood after "--".
  std::vector<std::string> trailing = {};
  bool takes_trailing = false;
  Action action = {};

  bool json() const { return format == "json"; }
  absl::StatusOr<std::unique_ptr<Client>> Connect() const;
  // Says "serai: note: <text>" on stderr.
  void Note(const std::string& text);
};

// The --socket option; and -o/--output.
void AddSocketOption(CLI::App& command, Invocation& invocation);
void AddOutputOption(CLI::App& command, Invocation& invocation);

void AddRunCommand(CLI::App& app, Invocation& invocation);      // run
void AddPsCommand(CLI::App& app, Invocation& invocation);       // ps
void AddLogsCommand(CLI::App& app, Invocation& invocation);     // logs
void AddRemoveCommand(CLI::App& app, Invocation& invocation);   // rm
void AddStatsCommand(CLI::App& app, Invocation& invocation);    // stats
void AddImageCommands(CLI::App& app, Invocation& invocation);   // images, …
void AddPackCommand(CLI::App& app, Invocation& invocation);     // pack
void AddInspectCommand(CLI::App& app, Invocation& invocation);  // inspect
void AddShimCommand(CLI::App& app, Invocation& invocation);     // shim
void AddVersionCommand(CLI::App& app, Invocation& invocation);  // version

// --user and --password-stdin, each of which needs the other.
void AddLoginOptions(CLI::App& command, std::string& user,
                     bool& password_stdin);
// Reads a password: the first line of `in`, at most 64 KiB.
absl::StatusOr<std::string> ReadPassword(std::istream& in);

}  // namespace serai::cli
