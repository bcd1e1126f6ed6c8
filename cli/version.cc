// SPDX-License-Identifier: Apache-2.0
// serai version: the client's and the daemon's.

#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

namespace serai::cli {
namespace {

// The client's version is known also where no daemon runs.
absl::StatusOr<int> Version(Invocation& invocation) {
  nlohmann::json json = {{"client", SERAI_VERSION}};
  const auto client = invocation.Connect();
  const auto server = client.ok() ? (*client)->Version({}) : client.status();
  if (server.ok()) {
    json["server"] = {{"name", server->runtime_name()},
                      {"version", server->runtime_version()},
                      {"api_version", server->runtime_api_version()}};
  }
  if (invocation.json()) {
    PrintJson(invocation.out, json);
    return 0;
  }
  invocation.out << "serai " << SERAI_VERSION << '\n';
  if (server.ok()) {
    invocation.out << Printable(absl::StrCat(server->runtime_name(), " ",
                                             server->runtime_version(),
                                             ", CRI ",
                                             server->runtime_api_version()))
                   << '\n';
  } else {
    invocation.Note(std::string(server.status().message()));
  }
  return 0;
}

}  // namespace

void AddVersionCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      *app.add_subcommand("version", "The version of serai and of seraid");
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation] {
    invocation.action = [&invocation] { return Version(invocation); };
  });
}

}  // namespace serai::cli
