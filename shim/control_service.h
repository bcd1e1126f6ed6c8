// SPDX-License-Identifier: Apache-2.0
#pragma once

// Our own service, serai.shim.v1.Control: what the task API has no place for
// (proto/serai/shim/v1/control.proto). Used by the shim's loop only.

#include <functional>
#include <string>

#include "lib/base/status.h"
#include "lib/ttrpc/server.h"
#include "proto/serai/shim/v1/control.pb.h"
#include "shim/pod.h"

namespace serai::shim {

class ControlService {
 public:
  // `pod` outlives the service.
  explicit ControlService(Pod& pod) : pod_(pod) {}
  ControlService(const ControlService&) = delete;
  ControlService& operator=(const ControlService&) = delete;

  // ttrpc's handler for this service.
  void Handle(const ttrpc::Call& call, const ttrpc::Server::Reply& reply);

 private:
  template <typename Response>
  using Done = std::function<void(const absl::StatusOr<Response>&)>;

  absl::StatusOr<std::string> Answer(const ttrpc::Call& call);

  absl::StatusOr<v1::ListResponse> List(const wire::Empty& request);
  absl::StatusOr<v1::InfoResponse> Info(const v1::InfoRequest& request);
  absl::StatusOr<wire::Empty> ReopenLog(const v1::ReopenLogRequest& request);
  void Attach(const v1::AttachRequest& request, Done<v1::AttachResponse> done);
  void Snapshot(const v1::SnapshotRequest& request,
                Done<v1::SnapshotResponse> done);
  void Devices(const v1::DevicesRequest& request,
               Done<v1::DevicesResponse> done);

  Pod& pod_;
};

}  // namespace serai::shim
