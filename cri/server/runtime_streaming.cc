// SPDX-License-Identifier: Apache-2.0
// Attach and PortForward: URLs of the streaming server; Exec and ExecSync: what
// to use instead.
#include <utility>
#include <vector>

#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"
#include "cri/streaming/no_exec.h"

namespace serai::cri {
namespace {

absl::Status NoExec() { return absl::UnimplementedError(streaming::kNoExec); }

absl::Status CheckRuns(const Container& container) {
  switch (PhaseOf(container.record.Get())) {
    case ContainerPhase::kRunning:
      return absl::OkStatus();
    case ContainerPhase::kCreated:
      return absl::FailedPreconditionError(
          absl::StrCat("container ", container.id, " has not been started"));
    case ContainerPhase::kExited:
      return absl::FailedPreconditionError(absl::StrCat(
          "container ", container.id, " has exited; its log has what it said"));
  }
  return absl::OkStatus();
}

absl::Status CheckStreams(const v1::AttachRequest& request) {
  if (request.tty() && request.stderr()) {
    return absl::InvalidArgumentError(
        "tty and stderr can't both be asked for: a terminal has one output");
  }
  if (!request.stdin() && !request.stdout() && !request.stderr()) {
    return absl::InvalidArgumentError(
        "one of stdin, stdout and stderr is to be asked for");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint16_t>> PortsOf(
    const v1::PortForwardRequest& request) {
  std::vector<uint16_t> ports;
  for (const int32_t port : request.port()) {
    if (port < 1 || port > 65535) {
      return absl::InvalidArgumentError(absl::StrCat(port, " is no TCP port"));
    }
    ports.push_back(static_cast<uint16_t>(port));
  }
  return ports;
}

}  // namespace

grpc::Status RuntimeService::ExecSync(grpc::ServerContext*,
                                      const v1::ExecSyncRequest* request,
                                      v1::ExecSyncResponse*) {
  return Answer("ExecSync", request->container_id(), NoExec);
}

grpc::Status RuntimeService::Exec(grpc::ServerContext*,
                                  const v1::ExecRequest* request,
                                  v1::ExecResponse*) {
  return Answer("Exec", request->container_id(), NoExec);
}

grpc::Status RuntimeService::Attach(grpc::ServerContext*,
                                    const v1::AttachRequest* request,
                                    v1::AttachResponse* response) {
  return Answer("Attach", request->container_id(), [&] {
    RETURN_IF_ERROR(CheckStreams(*request));
    ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                     parts_.store.FindContainer(request->container_id()));
    RETURN_IF_ERROR(CheckRuns(*container));
    ASSIGN_OR_RETURN(*response->mutable_url(),
                     parts_.streams.AttachUrl(
                         {container->id, request->stdin(), request->stdout(),
                          request->stderr(), request->tty()}));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::PortForward(grpc::ServerContext*,
                                         const v1::PortForwardRequest* request,
                                         v1::PortForwardResponse* response) {
  return Answer("PortForward", request->pod_sandbox_id(), [&] {
    ASSIGN_OR_RETURN(std::vector<uint16_t> ports, PortsOf(*request));
    ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                     parts_.store.FindPod(request->pod_sandbox_id()));
    if (pod->record.Get().stopped()) {
      return absl::FailedPreconditionError(
          absl::StrCat("pod ", pod->id, " is stopped"));
    }
    ASSIGN_OR_RETURN(
        *response->mutable_url(),
        parts_.streams.PortForwardUrl({pod->id, std::move(ports)}));
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
