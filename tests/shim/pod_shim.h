// SPDX-License-Identifier: Apache-2.0
#pragma once

// A shim of a test's own: the real program, started as seraid starts it, with
// its sockets, bundles and logs in a temporary directory. All of it, and every
// tender, is gone when the object is.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/host/pidfd.h"
#include "lib/oci/runtime_spec.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/typed_call.h"
#include "proto/serai/shim/v1/control.pb.h"
#include "proto/task/task.pb.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {

// What a reader takes from either of containerd's two metrics messages.
struct TaskStats {
  uint64_t cpu_ns = 0;
  uint64_t memory_bytes = 0;
  uint64_t working_set_bytes = 0;
  uint64_t memory_limit_bytes = 0;
  uint64_t pids = 0;
};

class PodShim {
 public:
  // `tender` in place of the built one, when it is not empty.
  explicit PodShim(std::string tender = "");
  ~PodShim();
  PodShim(const PodShim&) = delete;
  PodShim& operator=(const PodShim&) = delete;

  // Runs a command of the shim in `directory` (empty: the pod's) and returns
  // what it printed; an error with its stderr when it fails.
  absl::StatusOr<std::string> Command(const std::string& command,
                                      const std::string& directory = "");

  ttrpc::Client& client() { return *client_; }
  std::unique_ptr<ttrpc::Client> NewClient();
  const std::string& address() const { return address_; }
  const std::string& socket_path() const { return socket_path_; }
  pid_t pid() const { return pid_; }

  std::string operator/(absl::string_view name) const { return dir_ / name; }

  // A name for things outside the directory: unique to this object.
  const std::string& unique() const { return unique_; }

  // A specification that runs the built guest "hello.spt" and the like, with
  // arguments; cgroup /serai-test-…/ID when this is root.
  oci::RuntimeSpec Spec(const std::string& id, const std::string& guest,
                        const std::vector<std::string>& args = {});
  std::string CgroupPath(const std::string& id) const;

  // Writes the bundle and creates the task; its log is LogPath(id).
  absl::Status Create(const std::string& id, const oci::RuntimeSpec& spec);
  absl::Status WriteBundle(const std::string& id, const oci::RuntimeSpec& spec);
  absl::Status CreateFromBundle(const std::string& id,
                                const std::string& checkpoint = "");
  std::string BundlePath(const std::string& id) const;
  std::string LogPath(const std::string& id) const;
  absl::Status Start(const std::string& id);
  absl::Status Kill(const std::string& id, uint32_t signal_number);
  // The exit status.
  absl::StatusOr<uint32_t> Wait(const std::string& id);
  absl::StatusOr<task::StateResponse> State(const std::string& id);
  absl::StatusOr<task::DeleteResponse> Delete(const std::string& id);
  absl::StatusOr<shim::v1::InfoResponse> Info(const std::string& id);
  absl::StatusOr<TaskStats> Stats(const std::string& id);
  absl::Status Update(const std::string& id, const std::string& resources);
  absl::Status ReopenLog(const std::string& id);
  absl::Status Shutdown(bool now);

  // The text of the log's records of one stream, lines joined as a reader
  // would; "" when there is no log.
  std::string LogText(const std::string& id, const std::string& stream);

  // Waits for the text to appear in the log's stdout.
  bool WaitForLog(const std::string& id, absl::string_view text);

  // SIGKILL, and waits for the shim's end.
  void KillShim();
  // Whether the shim has ended within some seconds.
  bool Ended();

  template <typename Response>
  absl::StatusOr<Response> Call(const char* method,
                                const google::protobuf::MessageLite& request,
                                const char* service = ttrpc::kTaskService) {
    return ttrpc::TypedCall<Response>(*client_, service, method, request,
                                      absl::Now() + absl::Seconds(20));
  }

 private:
  TempDir dir_;
  const std::string tender_;
  std::string unique_;
  std::string address_;
  std::string socket_path_;
  std::unique_ptr<ttrpc::Client> client_;
  pid_t pid_ = 0;
  std::unique_ptr<host::Pidfd> process_;
};

}  // namespace serai::testing
