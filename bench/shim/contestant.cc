// SPDX-License-Identifier: Apache-2.0
#include "bench/shim/contestant.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/pidfd.h"
#include "lib/ttrpc/typed_call.h"
#include "nlohmann/json.hpp"
#include "proto/task/task.pb.h"

namespace serai::bench {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr char kNamespace[] = "bench";
constexpr size_t kMaxProgramBytes = 64 << 20;

template <typename Response>
absl::StatusOr<Response> Call(ttrpc::Client& client, const char* method,
                              const google::protobuf::MessageLite& request) {
  return ttrpc::TypedCall<Response>(client, ttrpc::kTaskService, method,
                                    request, absl::Now() + kPatience);
}

// The least that runc takes for a container with namespaces of its own.
std::string Specification(const Contestant& contestant, const std::string& id) {
  nlohmann::json args = {"/app"};
  for (const std::string& arg : contestant.args) args.push_back(arg);
  const nlohmann::json spec = {
      {"ociVersion", "1.0.2"},
      {"process",
       {{"args", args},
        {"cwd", "/"},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"env", {"PATH=/"}}}},
      {"root", {{"path", "rootfs"}}},
      {"mounts",
       {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}}}},
      {"linux",
       {{"cgroupsPath", JoinPath(contestant.cgroup, id)},
        {"resources", {{"memory", {{"limit", 64 << 20}}}}},
        {"namespaces",
         {{{"type", "pid"}},
          {{"type", "mount"}},
          {{"type", "ipc"}},
          {{"type", "uts"}},
          {{"type", "network"}}}}}}};
  return spec.dump();
}

}  // namespace

ShimRun::ShimRun(const Contestant& contestant, std::string id,
                 std::string bundle)
    : contestant_(contestant), id_(std::move(id)), bundle_(std::move(bundle)) {}

absl::StatusOr<std::unique_ptr<ShimRun>> ShimRun::Prepare(
    const Contestant& contestant, const std::string& id,
    const std::string& bundle) {
  RETURN_IF_ERROR(MakeDirs(JoinPath(bundle, "rootfs/proc"), 0755));
  ASSIGN_OR_RETURN(const std::string program,
                   ReadFile(contestant.program, kMaxProgramBytes));
  RETURN_IF_ERROR(WriteFileAtomic(JoinPath(bundle, "rootfs/app"), program, 0755,
                                  Durability::kProcess));
  RETURN_IF_ERROR(WriteFileAtomic(JoinPath(bundle, "config.json"),
                                  Specification(contestant, id), 0644,
                                  Durability::kProcess));
  // Both shims write what they log to it.
  if (::mkfifo(JoinPath(bundle, "log").c_str(), 0600) != 0 ||
      ::mkfifo(JoinPath(bundle, "output").c_str(), 0600) != 0) {
    return ErrnoStatus(errno, "mkfifo");
  }
  std::unique_ptr<ShimRun> run(new ShimRun(contestant, id, bundle));
  RETURN_IF_ERROR(run->OpenOutput());
  return run;
}

absl::Status ShimRun::OpenOutput() {
  ASSIGN_OR_RETURN(output_,
                   OpenFile(JoinPath(bundle_, "output"), O_RDWR | O_NONBLOCK));
  return absl::OkStatus();
}

absl::Status ShimRun::StartShim() {
  // Read and thrown away, as long as the start takes.
  ASSIGN_OR_RETURN(const UniqueFd log,
                   OpenFile(JoinPath(bundle_, "log"), O_RDWR | O_NONBLOCK));
  SubprocessSpec spec;
  spec.program = contestant_.shim;
  spec.args = {"-namespace",
               kNamespace,
               "-id",
               id_,
               "-address",
               contestant_.containerd_address,
               "-publish-binary",
               "/usr/bin/containerd",
               "start"};
  spec.env = contestant_.env;
  spec.env.emplace_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  spec.env.emplace_back("GOMAXPROCS=2");
  spec.env.push_back(
      absl::StrCat("TTRPC_ADDRESS=", contestant_.containerd_address, ".ttrpc"));
  spec.directory = bundle_;
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
  if (result.exit_code != 0) return absl::UnknownError(result.error_output);
  ASSIGN_OR_RETURN(client_, ttrpc::Client::Connect(result.output));
  task::ConnectRequest request;
  request.set_id(id_);
  const auto connected =
      Call<task::ConnectResponse>(*client_, "Connect", request);
  if (connected.ok()) {
    pid_ = static_cast<pid_t>(connected->shim_pid());
    return absl::OkStatus();
  }
  // runc's shim answers only once there is a task, and leaves this instead.
  ASSIGN_OR_RETURN(const std::string pid,
                   ReadFile(JoinPath(bundle_, "shim.pid"), 32));
  if (!absl::SimpleAtoi(pid, &pid_)) {
    return absl::DataLossError(absl::StrCat("shim.pid has ", pid));
  }
  return absl::OkStatus();
}

absl::Status ShimRun::StartTask() {
  task::CreateTaskRequest create;
  create.set_id(id_);
  create.set_bundle(bundle_);
  create.set_stdout(JoinPath(bundle_, "output"));
  create.set_stderr(create.stdout());
  RETURN_IF_ERROR(
      Call<task::CreateTaskResponse>(*client_, "Create", create).status());
  task::StartRequest start;
  start.set_id(id_);
  RETURN_IF_ERROR(Call<task::StartResponse>(*client_, "Start", start).status());
  return AwaitOutput();
}

absl::Status ShimRun::AwaitOutput() const {
  pollfd readable = {output_.get(), POLLIN, 0};
  const int milliseconds =
      static_cast<int>(absl::ToInt64Milliseconds(kPatience));
  if (::poll(&readable, 1, milliseconds) == 1) return absl::OkStatus();
  return absl::DeadlineExceededError("the task says nothing");
}

absl::Status ShimRun::EndTask() {
  task::KillRequest kill;
  kill.set_id(id_);
  kill.set_signal(SIGKILL);
  RETURN_IF_ERROR(Call<wire::Empty>(*client_, "Kill", kill).status());
  task::WaitRequest wait;
  wait.set_id(id_);
  RETURN_IF_ERROR(Call<task::WaitResponse>(*client_, "Wait", wait).status());
  task::DeleteRequest remove;
  remove.set_id(id_);
  return Call<task::DeleteResponse>(*client_, "Delete", remove).status();
}

absl::Status ShimRun::EndShim() {
  const auto process = host::Pidfd::Open(pid_);
  task::ShutdownRequest request;
  request.set_id(id_);
  // Whether there is time for an answer is each shim's own.
  (void)Call<wire::Empty>(*client_, "Shutdown", request).status();
  if (!process.ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool ended, process->Wait(kPatience));
  if (!ended) return absl::DeadlineExceededError("the shim does not end");
  return absl::OkStatus();
}

}  // namespace serai::bench
