// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "lib/host/pidfd.h"
#include "proto/task/task.pb.h"
#include "shim/socket.h"
#include "shim/start.h"
#include "shim/state_file.h"

namespace serai::shim {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
// How it ended, nobody saw: most likely with its shim.
constexpr uint32_t kUnknownExit = 128 + SIGKILL;

absl::Status KillTender(const TaskRecord& record) {
  if (record.pid <= 0) return absl::OkStatus();
  const absl::StatusOr<host::Pidfd> tender =
      host::OpenProcess(record.pid, record.start_time);
  if (absl::IsNotFound(tender.status())) return absl::OkStatus();
  RETURN_IF_ERROR(tender.status(), "tender ", record.pid);
  const absl::Status killed = tender->SendSignal(SIGKILL);
  if (absl::IsNotFound(killed)) return absl::OkStatus();
  RETURN_IF_ERROR(killed, "tender ", record.pid);
  ASSIGN_OR_RETURN(const bool ended, tender->Wait(kKillTimeout));
  if (ended) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("tender ", record.pid, " does not end"));
}

absl::Status RemoveCgroup(const TaskRecord& record) {
  if (record.cgroup.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(hierarchy, record.cgroup));
  RETURN_IF_ERROR(cgroup.KillAll());
  RETURN_IF_ERROR(cgroup.Remove());
  return host::RemoveMade(record.made_cgroups);
}

absl::Status RemoveStaleSocket(const Options& options,
                               const Surroundings& surroundings) {
  ASSIGN_OR_RETURN(const UniqueFd lock,
                   LockSocketDirectory(surroundings.socket_directory));
  ASSIGN_OR_RETURN(const std::string path,
                   SocketPath(surroundings.socket_directory,
                              options.namespace_name, options.id));
  ASSIGN_OR_RETURN(const bool served, IsServed(path));
  return served ? absl::OkStatus() : RemovePath(path);
}

}  // namespace

absl::StatusOr<std::string> DeleteLeftovers(const Options& options,
                                            const Surroundings& surroundings) {
  const std::string& bundle =
      options.bundle.empty() ? surroundings.directory : options.bundle;
  task::DeleteResponse response;
  response.set_exit_status(kUnknownExit);
  const timespec now = absl::ToTimespec(absl::Now());
  response.mutable_exited_at()->set_seconds(now.tv_sec);
  response.mutable_exited_at()->set_nanos(static_cast<int32_t>(now.tv_nsec));

  const absl::StatusOr<TaskRecord> record = ReadTaskRecord(bundle);
  if (record.ok()) {
    response.set_pid(static_cast<uint32_t>(record->pid));
    RETURN_IF_ERROR(KillTender(*record));
    RETURN_IF_ERROR(RemoveCgroup(*record), "cgroup ", record->cgroup);
    RETURN_IF_ERROR(RemoveTaskRecord(bundle));
  } else if (!absl::IsNotFound(record.status())) {
    return record.status();
  }
  RETURN_IF_ERROR(RemoveStaleSocket(options, surroundings));
  return response.SerializeAsString();
}

}  // namespace serai::shim
