// SPDX-License-Identifier: Apache-2.0
#include "shim/services.h"

#include "absl/strings/str_cat.h"

namespace serai::shim {

void Services::Handle(const ttrpc::Call& call,
                      const ttrpc::Server::Reply& reply) {
  if (call.service == "containerd.task.v2.Task" ||
      call.service == "containerd.task.v3.Task") {
    task_.Handle(call, reply);
  } else if (call.service == "containerd.runtime.sandbox.v1.Sandbox") {
    sandbox_.Handle(call, reply);
  } else if (call.service == "serai.shim.v1.Control") {
    control_.Handle(call, reply);
  } else {
    reply(absl::UnimplementedError(
        absl::StrCat("there is no service ", call.service)));
  }
}

}  // namespace serai::shim
