// SPDX-License-Identifier: Apache-2.0
#pragma once

// All services of a shim, by their names. Used by the shim's loop only.

#include <functional>

#include "lib/ttrpc/server.h"
#include "shim/control_service.h"
#include "shim/event_publisher.h"
#include "shim/pod.h"
#include "shim/sandbox_service.h"
#include "shim/task_service.h"

namespace serai::shim {

class Services {
 public:
  // `on_shutdown` is called after the call that ends the shim was answered.
  Services(Pod& pod, EventPublisher& events,
           const std::function<void()>& on_shutdown)
      : task_(pod, events, on_shutdown),
        sandbox_(pod, on_shutdown),
        control_(pod) {}

  // ttrpc's handler.
  void Handle(const ttrpc::Call& call, const ttrpc::Server::Reply& reply);

 private:
  TaskService task_;
  SandboxService sandbox_;
  ControlService control_;
};

}  // namespace serai::shim
