// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <istream>
#include <ostream>
#include <utility>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

namespace serai::cli {
namespace {

constexpr char kDescription[] =
    "Runs unikernels as pods. Talks to seraid over its CRI socket.";

// Moves what follows "--" out of `args`, so that no command mistakes it for its
// own options and names.
std::vector<std::string> TakeTrailing(std::vector<std::string>& args) {
  const auto dashes = std::find(args.begin(), args.end(), "--");
  if (dashes == args.end()) return {};
  std::vector<std::string> trailing(std::next(dashes), args.end());
  args.erase(dashes, args.end());
  return trailing;
}

// CLI11 reports by exceptions, also --help. They end here. Returns the exit
// code when there is nothing more to do, and -1 to go on.
int ParseArguments(CLI::App& app, std::vector<std::string> args,
                   Invocation& invocation) {
  std::reverse(args.begin(), args.end());
  try {
    app.parse(std::move(args));
  } catch (const CLI::CallForHelp&) {
    invocation.out << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    invocation.err << "serai: " << Printable(error.what()) << " (see serai "
                   << (chosen.empty() ? "" : chosen.front()->get_name() + " ")
                   << "--help)\n";
    return kExitUsage;
  }
  if (!invocation.trailing.empty() && !invocation.takes_trailing) {
    invocation.err << "serai: nothing can follow -- here\n";
    return kExitUsage;
  }
  return -1;
}

void AddCommands(CLI::App& app, Invocation& invocation) {
  AddRunCommand(app, invocation);
  AddPsCommand(app, invocation);
  AddLogsCommand(app, invocation);
  AddRemoveCommand(app, invocation);
  AddStatsCommand(app, invocation);
  AddPackCommand(app, invocation);
  AddImageCommands(app, invocation);
  AddInspectCommand(app, invocation);
  AddShimCommand(app, invocation);
  AddVersionCommand(app, invocation);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Invocation::Connect() const {
  return Client::Connect(socket);
}

void Invocation::Note(const std::string& text) {
  err << "serai: note: " << Printable(text) << std::endl;
}

void AddSocketOption(CLI::App& command, Invocation& invocation) {
  command.add_option("--socket", invocation.socket, "seraid's CRI socket")
      ->envname("SERAI_SOCKET")
      ->type_name("PATH")
      ->capture_default_str();
}

void AddOutputOption(CLI::App& command, Invocation& invocation) {
  command.add_option("-o,--output", invocation.format, "how to print")
      ->check(CLI::IsMember({"table", "json"}).description(""))
      ->type_name("table|json")
      ->capture_default_str();
}

void AddLoginOptions(CLI::App& command, std::string& user,
                     bool& password_stdin) {
  CLI::Option* name =
      command.add_option("--user", user, "user name for the registry")
          ->type_name("NAME");
  CLI::Option* password = command.add_flag("--password-stdin", password_stdin,
                                           "read the password from stdin");
  name->needs(password);
  password->needs(name);
}

absl::StatusOr<std::string> ReadPassword(std::istream& in) {
  constexpr size_t kLongest = 64 << 10;
  std::string password;
  std::getline(in, password);
  if (!password.empty() && password.back() == '\r') password.pop_back();
  if (password.empty()) {
    return absl::InvalidArgumentError("no password came on standard input");
  }
  if (password.size() > kLongest) {
    return absl::InvalidArgumentError("the password is too long");
  }
  return password;
}

int RunCli(std::vector<std::string> args, std::istream& in, std::ostream& out,
           std::ostream& err, bool err_is_terminal) {
  Invocation invocation{in, out, err};
  invocation.err_is_terminal = err_is_terminal;
  invocation.trailing = TakeTrailing(args);
  CLI::App app(kDescription, "serai");
  app.require_subcommand(1);
  AddCommands(app, invocation);
  const int code = ParseArguments(app, std::move(args), invocation);
  if (code >= 0) return code;
  const absl::StatusOr<int> result = invocation.action();
  out.flush();
  if (!result.ok()) {
    err << "serai: " << Printable(result.status().message()) << std::endl;
    return kExitFailure;
  }
  return *result;
}

}  // namespace serai::cli
