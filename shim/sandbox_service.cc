// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox_service.h"

#include <signal.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "shim/wire.h"

namespace serai::shim {
namespace {

// Where the sandbox's cgroup is, by the two forms of a parent that kubelet
// gives: a path, or a slice's name under systemd's cgroup driver.
absl::StatusOr<std::string> CgroupOf(
    const sandbox::CreateSandboxRequest& request) {
  ASSIGN_OR_RETURN(const auto config,
                   Parse<sandbox::PodConfig>(request.options().value()));
  const std::string& parent = config.linux().cgroup_parent();
  if (parent.empty()) return std::string();
  if (!absl::EndsWith(parent, ".slice")) {
    return JoinPath(parent, request.sandbox_id());
  }
  const size_t name = parent.rfind('/') + 1;  // 0 where there is none
  return absl::StrCat(parent.substr(name), ":serai:", request.sandbox_id());
}

}  // namespace

void SandboxService::Handle(const ttrpc::Call& call,
                            const ttrpc::Server::Reply& reply) {
  if (call.method == "CreateSandbox") {
    RunLater(*this, &SandboxService::Create, call.request, reply);
  } else if (call.method == "WaitSandbox") {
    RunLater(*this, &SandboxService::Wait, call.request, reply);
  } else if (call.method == "ShutdownSandbox") {
    RunLater(*this, &SandboxService::Shutdown, call.request, reply);
  } else {
    reply(Answer(call));
  }
}

absl::StatusOr<std::string> SandboxService::Answer(const ttrpc::Call& call) {
  const auto run = [&](auto method) {
    return Run(*this, method, call.request);
  };
  const std::string& method = call.method;
  if (method == "StartSandbox") return run(&SandboxService::Start);
  if (method == "Platform") return run(&SandboxService::Platform);
  if (method == "StopSandbox") return run(&SandboxService::Stop);
  if (method == "SandboxStatus") return run(&SandboxService::Status);
  if (method == "PingSandbox") return run(&SandboxService::Ping);
  if (method == "SandboxMetrics") return run(&SandboxService::Metrics);
  return UnknownMethod(call);
}

absl::StatusOr<Task*> SandboxService::Find(const std::string& id) const {
  ASSIGN_OR_RETURN(Task* const found, pod_.Find(id));
  if (found->guest() == nullptr) return found;
  return absl::NotFoundError(absl::StrCat("task ", id, " is no sandbox"));
}

void SandboxService::Create(const sandbox::CreateSandboxRequest& request,
                            Done<sandbox::CreateSandboxResponse> done) {
  const std::string what =
      absl::StrCat("creating sandbox ", request.sandbox_id());
  const absl::StatusOr<Task*> created = Make(request);
  if (!created.ok()) return done(Annotate(created.status(), what));
  pod_.FinishCreation(**created, [what, done = std::move(done)](
                                     const absl::StatusOr<Task*>& finished) {
    if (!finished.ok()) return done(Annotate(finished.status(), what));
    done(sandbox::CreateSandboxResponse());
  });
}

absl::StatusOr<Task*> SandboxService::Make(
    const sandbox::CreateSandboxRequest& request) {
  ASSIGN_OR_RETURN(const std::string cgroup, CgroupOf(request));
  task::CreateTaskRequest task;
  task.set_id(request.sandbox_id());
  task.set_bundle(request.bundle_path());
  return pod_.CreateSandbox(task, request.netns_path(), cgroup);
}

absl::StatusOr<sandbox::StartSandboxResponse> SandboxService::Start(
    const sandbox::StartSandboxRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.sandbox_id()));
  RETURN_IF_ERROR(found->Start(), "sandbox ", request.sandbox_id());
  sandbox::StartSandboxResponse response;
  response.set_pid(ToWire(found->pid()));
  *response.mutable_created_at() = ToWire(*found->started_at());
  return response;
}

absl::StatusOr<sandbox::PlatformResponse> SandboxService::Platform(
    const sandbox::PlatformRequest& /*request*/) {
  sandbox::PlatformResponse response;
  response.mutable_platform()->set_os("linux");
  response.mutable_platform()->set_architecture("amd64");
  return response;
}

// There is nothing to wait for: no process has to be asked to end.
absl::StatusOr<sandbox::StopSandboxResponse> SandboxService::Stop(
    const sandbox::StopSandboxRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.sandbox_id()));
  if (!found->exit()) RETURN_IF_ERROR(found->Kill(SIGKILL));
  return sandbox::StopSandboxResponse();
}

absl::StatusOr<sandbox::SandboxStatusResponse> SandboxService::Status(
    const sandbox::SandboxStatusRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.sandbox_id()));
  sandbox::SandboxStatusResponse response;
  response.set_sandbox_id(request.sandbox_id());
  response.set_pid(ToWire(found->pid()));
  response.set_state(found->status() == task::TASK_RUNNING
                         ? "SANDBOX_READY"
                         : "SANDBOX_NOTREADY");
  if (found->started_at()) {
    *response.mutable_created_at() = ToWire(*found->started_at());
  }
  if (found->exit())
    *response.mutable_exited_at() = ToWire(found->exit()->time);
  if (request.verbose()) {
    (*response.mutable_info())["process"] =
        "the shim itself stands in for the sandbox";
  }
  return response;
}

absl::StatusOr<sandbox::PingResponse> SandboxService::Ping(
    const sandbox::PingRequest& request) {
  RETURN_IF_ERROR(Find(request.sandbox_id()).status());
  return sandbox::PingResponse();
}

absl::StatusOr<sandbox::SandboxMetricsResponse> SandboxService::Metrics(
    const sandbox::SandboxMetricsRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.sandbox_id()));
  sandbox::SandboxMetricsResponse response;
  sandbox::Metric& metric = *response.mutable_metrics();
  *metric.mutable_timestamp() = ToWire(absl::Now());
  metric.set_id(request.sandbox_id());
  ASSIGN_OR_RETURN(*metric.mutable_data(), found->Metrics());
  return response;
}

void SandboxService::Wait(const sandbox::WaitSandboxRequest& request,
                          Done<sandbox::WaitSandboxResponse> done) {
  const absl::StatusOr<Task*> found = Find(request.sandbox_id());
  if (!found.ok()) return done(found.status());
  (*found)->Wait([done = std::move(done)](const TaskExit& exit) {
    sandbox::WaitSandboxResponse response;
    response.set_exit_status(exit.status);
    *response.mutable_exited_at() = ToWire(exit.time);
    done(response);
  });
}

void SandboxService::Shutdown(const sandbox::ShutdownSandboxRequest&,
                              Done<sandbox::ShutdownSandboxResponse> done) {
  pod_.DestroyAll();
  done(sandbox::ShutdownSandboxResponse());
  on_shutdown_();
}

}  // namespace serai::shim
