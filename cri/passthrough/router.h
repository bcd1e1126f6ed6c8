// SPDX-License-Identifier: Apache-2.0
#pragma once

// The service on the public socket of a node with containerd: takes every call
// of every method as a name and bytes, and has seraid's own services, or
// containerd, or both answer it. Nothing here waits: gRPC's callbacks drive it,
// with no thread per call.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "cri/passthrough/backend.h"
#include "cri/passthrough/relay.h"

namespace serai::cri {

class Router final : public grpc::CallbackGenericService {
 public:
  struct Options {
    std::string containerd_socket;  // need not be there yet
    // Where seraid's own services listen, for the router. gRPC's transport
    // inside a process is no alternative: it drops a message that arrives
    // between two reads when the status comes with it.
    std::string local_socket;
    std::vector<grpc::Service*> services;
  };
  // The services, and `ours`, must outlive the router. UNAVAILABLE when the
  // local socket can't be listened on.
  static absl::StatusOr<std::unique_ptr<Router>> Start(const Options& options,
                                                       const Ours& ours);
  // For calls to be over by now, the server that has this service must be shut
  // down.
  ~Router() override;

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  Router(const Options& options, std::unique_ptr<grpc::Server> local_server,
         const Ours& ours);

  const Ours& ours_;
  const std::unique_ptr<grpc::Server> local_server_;
  Backend local_;
  Backend containerd_;
};

}  // namespace serai::cri
