// SPDX-License-Identifier: Apache-2.0
#pragma once

// One unikernel of the pod: created (its files open, its cgroup made, a process
// that waits to become its tender), running, perhaps paused, stopped, deleted.
// Used by the shim's loop only.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "lib/host/pidfd.h"
#include "lib/oci/runtime_spec.h"
#include "proto/serai/shim/v1/control.pb.h"
#include "proto/task/task.pb.h"
#include "shim/console.h"
#include "shim/console_tail.h"
#include "shim/dhcp_responder.h"
#include "shim/ending.h"
#include "shim/guest.h"
#include "shim/input_drain.h"
#include "shim/launch.h"
#include "shim/oom_watch.h"
#include "shim/output.h"
#include "shim/snapshot.h"
#include "shim/state_file.h"
#include "shim/task.h"
#include "shim/task_cgroup.h"
#include "shim/task_host.h"
#include "shim/tender_requests.h"

namespace serai::shim {

class GuestTask final : public Task {
 public:
  using OnSnapshot =
      std::function<void(const absl::StatusOr<v1::SnapshotResponse>&)>;
  using OnDevices =
      std::function<void(const absl::StatusOr<v1::DevicesResponse>&)>;

  // Prepares all that a start of what `spec`, the bundle's, describes needs.
  // On failure nothing is left: no cgroup, no log file, no record. `host`
  // outlives the task.
  static absl::StatusOr<std::unique_ptr<GuestTask>> Create(
      const TaskHost& host, const task::CreateTaskRequest& request,
      oci::RuntimeSpec spec);
  ~GuestTask() override;

  // Starts the tender. On an error other than Task's the task has ended, with
  // status 127.
  absl::Status Start() override;
  absl::Status Kill(int signal_number) override;
  absl::Status Destroy() override;
  const host::Cgroup* cgroup() const override;

  // The tender's pid (before the start: of the child that will be the tender).
  pid_t pid() const override { return record_.pid; }
  task::TaskStatus status() const override;
  GuestTask* guest() override { return this; }

  // Stops the tender, and with it the guest, until Resume(). The guest's clock
  // goes on. FAILED_PRECONDITION when it does not run, or is not paused.
  absl::Status Pause();
  absl::Status Resume();

  // Writes a snapshot to the directory, which is made or empty; tells `done`
  // when that is whole or has failed, and nothing is left then. The guest goes
  // on; one that is paused runs for as long as it takes. UNIMPLEMENTED for an
  // spt guest, FAILED_PRECONDITION for one that does not run or while another
  // snapshot is taken.
  void Snapshot(const std::string& directory, OnSnapshot done);

  // FAILED_PRECONDITION when it does not run.
  void Devices(OnDevices done);

  // FAILED_PRECONDITION for a task without a log.
  absl::Status ReopenLog();

  // Sets the limits that are in `resources` for the task's cgroup, and tells
  // `done`, perhaps later. INVALID_ARGUMENT for a memory limit that is not the
  // present one: the guest's memory is what it was started with.
  void Update(const oci::Resources& resources, TaskCgroup::OnDone done);

  // Calls `on_oom` whenever the kernel has killed the tender, or what it had
  // started, for want of memory: before the end is told.
  void WhenOom(std::function<void()> on_oom) { on_oom_ = std::move(on_oom); }

  bool oom_killed() const { return oom_killed_; }
  const std::string& last_words() const { return console_->tail(); }
  // For those who attach.
  ConsoleTail& console() { return console_->recent(); }
  uint64_t log_lines_dropped() const {
    return output_ ? output_->dropped() : 0;
  }
  solo5::Target target() const { return target_; }
  int last_signal() const { return last_signal_; }

 private:
  GuestTask(const TaskHost& host, const task::CreateTaskRequest& request,
            oci::RuntimeSpec spec);

  absl::Status Prepare();
  absl::Status RemoveTaps() const;
  void Admit(OnReady on_ready) override;
  absl::Status AnswerDhcp(Guest& guest);
  void NoteCgroup();
  absl::Status ForkTender(const Guest& guest);
  // SIGKILL for the child, and reaps it: its wait status.
  absl::StatusOr<int> EndChild();
  // The tender was reaped.
  void Ended(int wait_status);
  void Finish(uint32_t status, Ending ending);
  void RecordExit(uint32_t status);
  absl::Status CheckRuns() const;
  // UNIMPLEMENTED unless this is an hvt guest.
  absl::Status CheckTarget(absl::string_view what) const;
  absl::Status AskForSnapshot(int directory);
  void DiscardLate(std::shared_ptr<SnapshotDirectory> directory);
  absl::StatusOr<v1::SnapshotResponse> FinishSnapshot(
      const SnapshotDirectory& directory,
      const absl::StatusOr<nlohmann::json>& answer);

  const TaskHost& host_;
  oci::RuntimeSpec spec_;
  solo5::Target target_ = solo5::Target::kSpt;
  // What the specification says, before it is completed.
  const std::optional<int64_t> memory_limit_;
  std::unique_ptr<TaskCgroup> cgroup_;  // null: none was asked for
  std::optional<OomWatch> oom_watch_;   // after cgroup_: from the start
  std::function<void()> on_oom_;
  std::unique_ptr<OutputSink> output_;  // null: none was asked for
  std::unique_ptr<InputDrain> input_;   // null: none was offered
  std::unique_ptr<Console> console_;    // after output_: it writes there
  TenderRequests requests_;
  StatusPipe status_pipe_;  // after requests_: it tells that
  // Of network devices that are configured by DHCP: until the end.
  std::vector<std::unique_ptr<DhcpResponder>> dhcp_;
  TaskRecord record_;
  UniqueFd snapshots_;                           // hvt: ours of the channel
  std::optional<WaitingTender> waiting_tender_;  // before the start
  std::optional<host::Pidfd> pidfd_;             // until the end
  bool paused_ = false;
  bool taking_snapshot_ = false;
  int last_signal_ = 0;
  bool oom_killed_ = false;
};

}  // namespace serai::shim
