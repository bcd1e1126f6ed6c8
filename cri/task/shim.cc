// SPDX-License-Identifier: Apache-2.0
#include "cri/task/shim.h"

#include <signal.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/ttrpc/typed_call.h"
#include "proto/serai/shim/v1/control.pb.h"
#include "proto/task/task.pb.h"
#include "shim/socket.h"

namespace serai::cri {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(20);
// Of one that is to end: it is killed when it does not.
constexpr absl::Duration kShutdownTimeout = absl::Seconds(5);
constexpr absl::Duration kStartTimeout = absl::Seconds(20);
// containerd's flag for its namespaces; natively there is but one.
constexpr char kNamespace[] = "serai";

absl::Time Deadline() { return absl::Now() + kCallTimeout; }

int64_t Nanoseconds(const wire::Timestamp& time) {
  return time.seconds() * 1'000'000'000 + time.nanos();
}

template <typename Response>
TaskExit ExitOf(const Response& response) {
  return TaskExit{static_cast<int>(response.exit_status()),
                  Nanoseconds(response.exited_at())};
}

absl::StatusOr<TaskInfo> InfoOf(const task::StateResponse& response) {
  TaskInfo info;
  info.exit = ExitOf(response);
  switch (response.status()) {
    case task::TASK_CREATED:
      info.state = TaskState::kCreated;
      return info;
    case task::TASK_RUNNING:
      info.state = TaskState::kRunning;
      return info;
    case task::TASK_STOPPED:
      info.state = TaskState::kStopped;
      return info;
    default:
      return absl::InternalError(absl::StrCat(
          "the shim gives task ", response.id(), " the unknown state ",
          static_cast<int>(response.status())));
  }
}

ConsolePart PartOf(shim::v1::AttachResponse response) {
  return ConsolePart{std::move(*response.mutable_data()),
                     response.next_offset(), response.lost(), response.ended()};
}

template <typename Request>
Request For(const std::string& task) {
  Request request;
  request.set_id(task);
  return request;
}

std::vector<DeviceUse> UsesOf(const shim::v1::DevicesResponse& response) {
  std::vector<DeviceUse> uses;
  for (const shim::v1::DeviceCounters& c : response.devices()) {
    uses.push_back({c.name(), c.type() == "net", c.received(),
                    c.received_bytes(), c.sent(), c.sent_bytes(), c.failed()});
  }
  return uses;
}

}  // namespace

absl::StatusOr<std::string> ShimAddress(const ShimOptions& options,
                                        const std::string& id) {
  ASSIGN_OR_RETURN(const std::string path,
                   shim::SocketPath(options.socket_dir, kNamespace, id));
  return absl::StrCat("unix://", path);
}

absl::StatusOr<std::shared_ptr<Shim>> Shim::Start(const ShimOptions& options,
                                                  const std::string& id,
                                                  const std::string& directory,
                                                  const std::string& cgroup) {
  SubprocessSpec spec;
  spec.program = options.program;
  spec.args = {"-namespace", kNamespace,        "-id", id,     "-address",
               "",           "-publish-binary", "",    "start"};
  spec.env = {absl::StrCat("SERAI_TENDER=", options.tender),
              absl::StrCat("SERAI_SHIM_SOCKET_DIR=", options.socket_dir),
              absl::StrCat("SERAI_SHIM_CGROUP=", cgroup)};
  spec.directory = directory;
  spec.timeout = kStartTimeout;
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
  if (result.exit_code != 0) {
    return absl::UnavailableError(
        absl::StrCat("the shim did not start (exit code ", result.exit_code,
                     "): ", absl::StripAsciiWhitespace(result.error_output)));
  }
  const std::string address(absl::StripAsciiWhitespace(result.output));
  return Connect(address);
}

absl::StatusOr<std::shared_ptr<Shim>> Shim::Connect(
    const std::string& address) {
  ASSIGN_OR_RETURN(std::unique_ptr<ttrpc::Client> client,
                   ttrpc::Client::Connect(address));
  return std::shared_ptr<Shim>(new Shim(std::move(client)));
}

absl::Status Shim::Create(const std::string& task, const std::string& bundle,
                          const std::string& log_path,
                          const std::vector<std::string>& layers,
                          const std::string& checkpoint) {
  auto request = For<task::CreateTaskRequest>(task);
  request.set_checkpoint(checkpoint);
  request.set_bundle(bundle);
  if (!log_path.empty()) request.set_stdout(absl::StrCat("cri://", log_path));
  if (!layers.empty()) {
    auto* root = request.add_rootfs();
    root->set_type("overlay");
    root->set_source("overlay");
    root->add_options("ro");
    root->add_options(absl::StrCat("lowerdir=", absl::StrJoin(layers, ":")));
  }
  return ttrpc::TypedCall<task::CreateTaskResponse>(
             *client_, ttrpc::kTaskService, "Create", request, Deadline())
      .status();
}

absl::Status Shim::Start(const std::string& task) {
  return ttrpc::TypedCall<task::StartResponse>(
             *client_, ttrpc::kTaskService, "Start",
             For<task::StartRequest>(task), Deadline())
      .status();
}

void Shim::AskState(const std::string& task,
                    std::function<void(absl::StatusOr<TaskInfo>)> done) {
  client_->CallAsync(
      ttrpc::kTaskService, "State",
      For<task::StateRequest>(task).SerializeAsString(),
      [done = std::move(done)](absl::StatusOr<std::string> bytes) {
        if (!bytes.ok()) return done(bytes.status());
        auto response = ttrpc::ParseAnswer<task::StateResponse>(*bytes);
        if (!response.ok()) return done(response.status());
        done(InfoOf(*response));
      });
}
absl::Status Shim::Kill(const std::string& task, int signal_number) {
  auto request = For<task::KillRequest>(task);
  request.set_signal(static_cast<uint32_t>(signal_number));
  return ttrpc::TypedCall<wire::Empty>(*client_, ttrpc::kTaskService, "Kill",
                                       request, Deadline())
      .status();
}

void Shim::Wait(const std::string& task,
                std::function<void(absl::StatusOr<TaskExit>)> done) {
  const auto request = For<task::WaitRequest>(task);
  client_->CallAsync(
      ttrpc::kTaskService, "Wait", request.SerializeAsString(),
      [done = std::move(done)](absl::StatusOr<std::string> bytes) {
        if (!bytes.ok()) return done(bytes.status());
        auto response = ttrpc::ParseAnswer<task::WaitResponse>(*bytes);
        if (!response.ok()) return done(response.status());
        done(ExitOf(*response));
      });
}

absl::StatusOr<TaskExit> Shim::Delete(const std::string& task) {
  ASSIGN_OR_RETURN(const auto response,
                   ttrpc::TypedCall<task::DeleteResponse>(
                       *client_, ttrpc::kTaskService, "Delete",
                       For<task::DeleteRequest>(task), Deadline()));
  return ExitOf(response);
}

absl::Status Shim::Destroy(const std::string& task) {
  absl::Status status = Kill(task, SIGKILL);
  // Not found: there is no task, or it has ended.
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  status = ttrpc::TypedCall<task::WaitResponse>(
               *client_, ttrpc::kTaskService, "Wait",
               For<task::WaitRequest>(task), Deadline())
               .status();
  if (status.ok()) status = Delete(task).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status Shim::Snapshot(const std::string& task,
                            const std::string& directory,
                            absl::Duration timeout) {
  auto request = For<shim::v1::SnapshotRequest>(task);
  request.set_path(directory);
  return ttrpc::TypedCall<shim::v1::SnapshotResponse>(
             *client_, ttrpc::kControlService, "Snapshot", request,
             absl::Now() + timeout)
      .status();
}

absl::Status Shim::ReopenLog(const std::string& task) {
  return ttrpc::TypedCall<wire::Empty>(
             *client_, ttrpc::kControlService, "ReopenLog",
             For<shim::v1::ReopenLogRequest>(task), Deadline())
      .status();
}

absl::StatusOr<TaskEpilogue> Shim::Epilogue(const std::string& task,
                                            absl::Duration timeout) {
  ASSIGN_OR_RETURN(
      const auto response,
      ttrpc::TypedCall<shim::v1::InfoResponse>(
          *client_, ttrpc::kControlService, "Info",
          For<shim::v1::InfoRequest>(task), absl::Now() + timeout));
  return TaskEpilogue{response.oom_killed(), response.ending(),
                      response.message(), response.pid(),
                      response.log_lines_dropped()};
}

void Shim::Devices(
    const std::string& task,
    std::function<void(absl::StatusOr<std::vector<DeviceUse>>)> done) {
  const auto request = For<shim::v1::DevicesRequest>(task);
  client_->CallAsync(
      ttrpc::kControlService, "Devices", request.SerializeAsString(),
      [done = std::move(done)](absl::StatusOr<std::string> bytes) {
        if (!bytes.ok()) return done(bytes.status());
        const auto response =
            ttrpc::ParseAnswer<shim::v1::DevicesResponse>(*bytes);
        if (!response.ok()) return done(response.status());
        done(UsesOf(*response));
      });
}

absl::StatusOr<std::vector<DeviceUse>> Shim::Devices(const std::string& task,
                                                     absl::Duration timeout) {
  ASSIGN_OR_RETURN(
      const auto response,
      ttrpc::TypedCall<shim::v1::DevicesResponse>(
          *client_, ttrpc::kControlService, "Devices",
          For<shim::v1::DevicesRequest>(task), absl::Now() + timeout));
  return UsesOf(response);
}

absl::StatusOr<pid_t> Shim::Pid(absl::Duration timeout) {
  ASSIGN_OR_RETURN(const auto response,
                   ttrpc::TypedCall<shim::v1::ListResponse>(
                       *client_, ttrpc::kControlService, "List", wire::Empty(),
                       absl::Now() + timeout));
  return static_cast<pid_t>(response.shim_pid());
}

void Shim::ReadConsole(const std::string& task, uint64_t offset,
                       std::function<void(absl::StatusOr<ConsolePart>)> done) {
  auto request = For<shim::v1::AttachRequest>(task);
  request.set_offset(offset);
  client_->CallAsync(
      ttrpc::kControlService, "Attach", request.SerializeAsString(),
      [done = std::move(done)](absl::StatusOr<std::string> bytes) {
        if (!bytes.ok()) return done(bytes.status());
        auto response = ttrpc::ParseAnswer<shim::v1::AttachResponse>(*bytes);
        if (!response.ok()) return done(response.status());
        done(PartOf(*std::move(response)));
      });
}

absl::StatusOr<ConsolePart> Shim::LastConsole(const std::string& task) {
  ASSIGN_OR_RETURN(auto response,
                   ttrpc::TypedCall<shim::v1::AttachResponse>(
                       *client_, ttrpc::kControlService, "Attach",
                       For<shim::v1::AttachRequest>(task), Deadline()));
  return PartOf(std::move(response));
}

absl::Status Shim::Shutdown(const std::string& id) {
  auto request = For<task::ShutdownRequest>(id);
  request.set_now(true);
  return ttrpc::TypedCall<wire::Empty>(*client_, ttrpc::kTaskService,
                                       "Shutdown", request,
                                       absl::Now() + kShutdownTimeout)
      .status();
}

}  // namespace serai::cri
