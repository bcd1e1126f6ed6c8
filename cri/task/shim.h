// SPDX-License-Identifier: Apache-2.0
#pragma once

// seraid's end of a pod's shim: starting it, and containerd's Task API with
// typed calls. Any thread; calls block for as long as the shim takes, bounded
// by kCallTimeout, but for Wait.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/ttrpc/client.h"

namespace serai::cri {

// How a task ended.
struct TaskExit {
  int exit_status =
      0;  // the guest's, or 128 + the signal that ended its tender
  int64_t exited_at_ns = 0;
};

enum class TaskState { kCreated, kRunning, kStopped };

struct TaskInfo {
  TaskState state = TaskState::kCreated;
  TaskExit exit;  // of a stopped one
};

// What the shim knows of an end beside its status.
struct TaskEpilogue {
  bool oom_killed = false;
  std::string ending;   // as serai.shim.v1.InfoResponse has it
  std::string message;  // the last of the tender's stderr
  uint32_t pid = 0;     // of the tender
  uint64_t log_lines_dropped = 0;
};

// What a device has done for its guest: serai.shim.v1.DeviceCounters.
struct DeviceUse {
  std::string name;
  bool is_net = false;  // else a block device
  uint64_t received = 0;
  uint64_t received_bytes = 0;
  uint64_t sent = 0;
  uint64_t sent_bytes = 0;
  uint64_t failed = 0;
};

// A part of a console.
struct ConsolePart {
  std::string data;
  uint64_t next_offset = 0;
  uint64_t lost = 0;   // bytes before `data` that are not kept any more
  bool ended = false;  // the task has ended, and this is the last
};

struct ShimOptions {
  std::string program;
  std::string tender;
  std::string socket_dir;  // for the shims' sockets; made when missing
};

// Where the shim of pod `id` listens, from before it is started.
absl::StatusOr<std::string> ShimAddress(const ShimOptions& options,
                                        const std::string& id);

class Shim {
 public:
  // Starts the shim of pod `id` in a cgroup (SERAI_SHIM_CGROUP in
  // shim/start.h), or finds the one that runs, and connects. `directory` is its
  // working directory while it starts.
  static absl::StatusOr<std::shared_ptr<Shim>> Start(
      const ShimOptions& options, const std::string& id,
      const std::string& directory, const std::string& cgroup);

  // Connects to one that was started before. UNAVAILABLE when it is gone.
  static absl::StatusOr<std::shared_ptr<Shim>> Connect(
      const std::string& address);

  bool connected() const { return client_->connected(); }

  // Makes the task from the bundle's config.json. An empty log path: what the
  // guest prints is dropped. `layers`, the uppermost first: the root is their
  // overlay, which the shim mounts while it looks for the unikernel; without
  // any it is the directory that config.json names. With a checkpoint, a
  // snapshot's directory, the guest goes on from it.
  absl::Status Create(const std::string& task, const std::string& bundle,
                      const std::string& log_path,
                      const std::vector<std::string>& layers,
                      const std::string& checkpoint);
  absl::Status Start(const std::string& task);
  // Calls `done` once, on the connection's thread, however long it takes:
  // with NOT_FOUND when the task is not there, with UNAVAILABLE when the
  // connection has ended. `done` must not block.
  void AskState(const std::string& task,
                std::function<void(absl::StatusOr<TaskInfo>)> done);
  // NOT_FOUND when the task is not there, or its process has ended.
  absl::Status Kill(const std::string& task, int signal_number);
  // Calls `done` once, on the connection's thread: when the task has ended, or
  // with UNAVAILABLE when the connection has. `done` must not block.
  void Wait(const std::string& task,
            std::function<void(absl::StatusOr<TaskExit>)> done);
  // Forgets an ended task. NOT_FOUND when it is not there.
  absl::StatusOr<TaskExit> Delete(const std::string& task);
  // Ends the task with SIGKILL, whatever its state, and forgets it. One that is
  // not there is success.
  absl::Status Destroy(const std::string& task);
  // Writes a snapshot of the running guest to a directory, which the shim
  // makes. On failure there is none, save after DEADLINE_EXCEEDED.
  absl::Status Snapshot(const std::string& task, const std::string& directory,
                        absl::Duration timeout);
  absl::Status ReopenLog(const std::string& task);
  absl::StatusOr<TaskEpilogue> Epilogue(const std::string& task,
                                        absl::Duration timeout);
  // The task's devices. The first calls `done` as Wait() does;
  // FAILED_PRECONDITION when the task does not run.
  void Devices(
      const std::string& task,
      std::function<void(absl::StatusOr<std::vector<DeviceUse>>)> done);
  absl::StatusOr<std::vector<DeviceUse>> Devices(const std::string& task,
                                                 absl::Duration timeout);
  // The shim's own.
  absl::StatusOr<pid_t> Pid(absl::Duration timeout);
  // Calls `done` once, on the connection's thread, with what the task's console
  // said after `offset` (0: the last lines that are kept): when there is
  // something or the task has ended, or with nothing after half a minute.
  // `done` must not block.
  void ReadConsole(const std::string& task, uint64_t offset,
                   std::function<void(absl::StatusOr<ConsolePart>)> done);
  // The last of an ended task's console.
  absl::StatusOr<ConsolePart> LastConsole(const std::string& task);
  // Asks the shim to end, and its tasks with it.
  absl::Status Shutdown(const std::string& id);

 private:
  explicit Shim(std::unique_ptr<ttrpc::Client> client)
      : client_(std::move(client)) {}

  const std::unique_ptr<ttrpc::Client> client_;
};

}  // namespace serai::cri
