// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/router.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "cri/passthrough/braid.h"
#include "cri/passthrough/gather.h"
#include "cri/rpc/socket.h"

namespace serai::cri {
namespace {

std::unique_ptr<grpc::Server> Serve(
    const std::string& socket, const std::vector<grpc::Service*>& services) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(absl::StrCat("unix:", socket),
                           grpc::InsecureServerCredentials(), &port);
  SetLimits(builder);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  return port == 0 ? nullptr : std::move(server);
}

}  // namespace

Router::Router(const Options& options,
               std::unique_ptr<grpc::Server> local_server, const Ours& ours)
    : ours_(ours),
      local_server_(std::move(local_server)),
      local_("seraid", SocketChannel(options.local_socket)),
      containerd_(absl::StrCat("containerd (", options.containerd_socket, ")"),
                  SocketChannel(options.containerd_socket)) {}

absl::StatusOr<std::unique_ptr<Router>> Router::Start(const Options& options,
                                                      const Ours& ours) {
  std::unique_ptr<grpc::Server> server =
      Serve(options.local_socket, options.services);
  if (server == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("can't listen on ", options.local_socket));
  }
  if (::chmod(options.local_socket.c_str(), 0600) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", options.local_socket));
  }
  return std::unique_ptr<Router>(new Router(options, std::move(server), ours));
}

Router::~Router() { local_server_->Shutdown(); }

grpc::ServerGenericBidiReactor* Router::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  const Rule rule = RuleOf(context->method());
  const Backends backends = {local_, containerd_};
  switch (rule.kind) {
    case Kind::kContainerd:
    case Kind::kLocal:
    case Kind::kOwner:
      return new Relay(*context, rule, backends, ours_);
    case Kind::kList:
    case Kind::kMetrics:
    case Kind::kDescriptors:
    case Kind::kStatus:
    case Kind::kRuntimeConfig:
    case Kind::kUpdate:
      return new Gather(*context, rule, backends, ours_);
    case Kind::kStreamedList:
    case Kind::kEvents:
      return new Braid(*context, rule, backends, ours_);
  }
  return nullptr;  // UNIMPLEMENTED
}

}  // namespace serai::cri
