// SPDX-License-Identifier: Apache-2.0
#include "shim/live_shim.h"

#include <signal.h>

#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/ttrpc/loop_client.h"

namespace serai::shim {
namespace {

constexpr char kService[] = "containerd.task.v2.Task";
// containerd gives `delete` five seconds for everything.
constexpr absl::Duration kPatience = absl::Seconds(2);

// One call after the other.
class Caller {
 public:
  static absl::StatusOr<Caller> Connect(const std::string& socket_path) {
    ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
    ASSIGN_OR_RETURN(auto client,
                     ttrpc::LoopClient::Connect(*loop, socket_path));
    return Caller(std::move(loop), std::move(client));
  }

  absl::StatusOr<std::string> Call(const char* method,
                                   const std::string& request) {
    absl::StatusOr<std::string> outcome = absl::UnknownError("no answer");
    client_->Call(kService, method, request, kPatience,
                  [&](absl::StatusOr<std::string> answer) {
                    outcome = std::move(answer);
                    loop_->Stop();
                  });
    RETURN_IF_ERROR(loop_->Run());
    return outcome;
  }

 private:
  Caller(std::unique_ptr<EventLoop> loop,
         std::unique_ptr<ttrpc::LoopClient> client)
      : loop_(std::move(loop)), client_(std::move(client)) {}

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ttrpc::LoopClient> client_;
};

}  // namespace

absl::StatusOr<task::DeleteResponse> DeleteFromLiveShim(
    const std::string& socket_path, const std::string& id) {
  ASSIGN_OR_RETURN(Caller shim, Caller::Connect(socket_path));
  task::KillRequest kill;
  kill.set_id(id);
  kill.set_signal(SIGKILL);
  // NOT_FOUND for one that has ended, too: Wait tells.
  const absl::Status killed =
      shim.Call("Kill", kill.SerializeAsString()).status();
  if (!killed.ok() && !absl::IsNotFound(killed)) return killed;
  task::WaitRequest wait;
  wait.set_id(id);
  RETURN_IF_ERROR(shim.Call("Wait", wait.SerializeAsString()).status());
  task::DeleteRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const std::string bytes,
                   shim.Call("Delete", request.SerializeAsString()));
  task::DeleteResponse response;
  if (!response.ParseFromString(bytes)) {
    return absl::InternalError("the shim's answer is malformed");
  }
  task::ShutdownRequest shutdown;
  shutdown.set_id(id);
  // The task is gone. Should the shim stay, the next `delete` meets it.
  shim.Call("Shutdown", shutdown.SerializeAsString()).status().IgnoreError();
  return response;
}

}  // namespace serai::shim
