// SPDX-License-Identifier: Apache-2.0
// serai shim: asks one pod's shim itself, past seraid and containerd.

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "lib/ttrpc/typed_call.h"
#include "proto/serai/shim/v1/control.pb.h"
#include "proto/task/wire.pb.h"

namespace serai::cli {
namespace {

using nlohmann::json;
namespace control = shim::v1;

constexpr absl::Duration kPatience = absl::Seconds(10);
// The shim answers an Attach after half a minute, also when there is nothing.
constexpr absl::Duration kAttachPatience = absl::Minutes(1);

struct ShimOptions {
  std::string socket;
  std::string id;
};

template <typename Response>
absl::StatusOr<Response> Ask(ttrpc::Client& client, absl::string_view method,
                             const google::protobuf::MessageLite& request,
                             absl::Duration patience = kPatience) {
  return ttrpc::TypedCall<Response>(client, ttrpc::kControlService, method,
                                    request, absl::Now() + patience);
}

std::string StatusName(task::TaskStatus status) {
  switch (status) {
    case task::TASK_CREATED:
      return "created";
    case task::TASK_RUNNING:
      return "running";
    case task::TASK_STOPPED:
      return "stopped";
    case task::TASK_PAUSED:
      return "paused";
    case task::TASK_PAUSING:
      return "pausing";
    default:
      return "unknown";
  }
}

json ToJson(const control::DeviceCounters& device) {
  return {{"name", device.name()},
          {"type", device.type()},
          {"received", device.received()},
          {"received_bytes", device.received_bytes()},
          {"sent", device.sent()},
          {"sent_bytes", device.sent_bytes()},
          {"failed", device.failed()}};
}

// A task with its devices, when it is a unikernel that runs.
absl::StatusOr<json> StateOf(ttrpc::Client& client, const std::string& id) {
  control::InfoRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const auto info,
                   Ask<control::InfoResponse>(client, "Info", request));
  json state = {{"id", id},
                {"pid", info.pid()},
                {"status", StatusName(info.status())},
                {"target", info.target()},
                {"ending", info.ending()},
                {"exit_status", info.exit_status()},
                {"oom_killed", info.oom_killed()},
                {"log_lines_dropped", info.log_lines_dropped()},
                {"message", info.message()},
                {"devices", json::array()}};
  if (info.target().empty() || info.status() != task::TASK_RUNNING) {
    return state;
  }
  control::DevicesRequest devices;
  devices.set_id(id);
  const auto counters =
      Ask<control::DevicesResponse>(client, "Devices", devices);
  // It may have ended since.
  if (absl::IsFailedPrecondition(counters.status())) return state;
  RETURN_IF_ERROR(counters.status());
  for (const auto& device : counters->devices()) {
    state["devices"].push_back(ToJson(device));
  }
  return state;
}

std::string Cell(const json& object, const char* name) {
  const json& value = object[name];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void PrintTables(std::ostream& out, const json& tasks) {
  Table table({"TASK", "PID", "STATUS", "TARGET", "ENDING", "EXIT", "LOST"});
  Table devices({"TASK", "DEVICE", "TYPE", "RECEIVED", "BYTES", "SENT", "BYTES",
                 "FAILED"});
  bool any = false;
  for (const json& task : tasks) {
    const bool ended = task["status"] == "stopped";
    table.Add({Cell(task, "id"), Cell(task, "pid"), Cell(task, "status"),
               Cell(task, "target"), Cell(task, "ending"),
               ended ? Cell(task, "exit_status") : "",
               Cell(task, "log_lines_dropped")});
    for (const json& device : task["devices"]) {
      any = true;
      devices.Add({Cell(task, "id"), Cell(device, "name"), Cell(device, "type"),
                   Cell(device, "received"), Cell(device, "received_bytes"),
                   Cell(device, "sent"), Cell(device, "sent_bytes"),
                   Cell(device, "failed")});
    }
  }
  table.Print(out);
  if (!any) return;
  out << '\n';
  devices.Print(out);
}

absl::StatusOr<int> State(Invocation& invocation, const ShimOptions& options) {
  ASSIGN_OR_RETURN(const auto client, ttrpc::Client::Connect(options.socket));
  ASSIGN_OR_RETURN(const auto list,
                   Ask<control::ListResponse>(*client, "List", wire::Empty()));
  json tasks = json::array();
  for (const std::string& id : list.ids()) {
    absl::StatusOr<json> state = StateOf(*client, id);
    if (absl::IsNotFound(state.status())) continue;  // deleted since
    RETURN_IF_ERROR(state.status());
    tasks.push_back(*std::move(state));
  }
  if (invocation.json()) {
    PrintJson(invocation.out,
              {{"shim_pid", list.shim_pid()}, {"tasks", std::move(tasks)}});
  } else {
    PrintTables(invocation.out, tasks);
  }
  return 0;
}

absl::StatusOr<int> Attach(Invocation& invocation, const ShimOptions& options) {
  ASSIGN_OR_RETURN(const auto client, ttrpc::Client::Connect(options.socket));
  control::AttachRequest request;
  request.set_id(options.id);
  while (true) {
    ASSIGN_OR_RETURN(const auto piece,
                     Ask<control::AttachResponse>(*client, "Attach", request,
                                                  kAttachPatience));
    // At first what is not kept any more is no news.
    if (piece.lost() != 0 && request.offset() != 0) {
      invocation.Note(absl::StrCat(piece.lost(), " bytes came too fast"));
    }
    invocation.out << piece.data() << std::flush;
    if (!invocation.out) return absl::UnavailableError("nobody reads this");
    if (piece.ended()) return 0;
    request.set_offset(piece.next_offset());
  }
}

}  // namespace

void AddShimCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      *app.add_subcommand("shim", "Ask a pod's shim by its socket");
  command.require_subcommand(1);
  const auto options = std::make_shared<ShimOptions>();
  command.add_option("--socket", options->socket, "the shim's socket")
      ->type_name("PATH")
      ->required();
  CLI::App& state =
      *command.add_subcommand("state", "Its tasks and their devices");
  AddOutputOption(state, invocation);
  state.callback([&invocation, options] {
    invocation.action = [&invocation, options] {
      return State(invocation, *options);
    };
  });
  CLI::App& attach = *command.add_subcommand(
      "attach", "Print a task's console, the last lines first, until it ends");
  attach.add_option("TASK", options->id, "its id")->required();
  attach.callback([&invocation, options] {
    invocation.action = [&invocation, options] {
      return Attach(invocation, *options);
    };
  });
}

}  // namespace serai::cli
