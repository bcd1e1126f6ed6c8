// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/host/pidfd.h"
#include "proto/task/task.pb.h"
#include "shim/bundle_notes.h"
#include "shim/guest_spec.h"
#include "shim/live_shim.h"
#include "shim/pod_network.h"
#include "shim/rootfs.h"
#include "shim/socket.h"
#include "shim/start.h"
#include "shim/state_file.h"
#include "shim/task_cgroup.h"

namespace serai::shim {
namespace {

// containerd gives `delete` five seconds for everything.
constexpr absl::Duration kKillTimeout = absl::Seconds(3);
// How it ended, nobody saw: most likely with its shim.
constexpr uint32_t kUnknownExit = 128 + SIGKILL;
constexpr size_t kMaxNote = 4096;

// What goes on: containerd logs it as a warning.
void Warn(const absl::Status& status) {
  if (status.ok()) return;
  WriteAll(STDERR_FILENO, absl::StrCat(status.message(), "\n")).IgnoreError();
}

// Tries everything; the first error is the one to return.
class Errors {
 public:
  void Add(const absl::Status& status, absl::string_view what) {
    if (status.ok()) return;
    if (!first_.ok()) return Warn(Annotate(status, what));
    first_ = Annotate(status, what);
  }
  const absl::Status& first() const { return first_; }

 private:
  absl::Status first_;
};

absl::Status KillTender(const TaskRecord& record) {
  // A sandbox has no process but the shim.
  if (record.pid <= 0 || record.start_time == 0) return absl::OkStatus();
  const absl::StatusOr<host::Pidfd> tender =
      host::OpenProcess(record.pid, record.start_time);
  if (absl::IsNotFound(tender.status())) return absl::OkStatus();
  RETURN_IF_ERROR(tender.status());
  const absl::Status killed = tender->SendSignal(SIGKILL);
  if (absl::IsNotFound(killed)) return absl::OkStatus();
  RETURN_IF_ERROR(killed);
  ASSIGN_OR_RETURN(const bool ended, tender->Wait(kKillTimeout));
  if (ended) return absl::OkStatus();
  return absl::DeadlineExceededError("does not end");
}

absl::Status RemoveCgroup(const TaskRecord& record) {
  if (record.cgroup.empty()) return absl::OkStatus();
  return TaskCgroup::RemoveRecorded(
      {record.cgroup, record.made_cgroups, record.scope});
}

// All but the record itself.
absl::Status CleanUp(const std::string& bundle, const TaskRecord& record) {
  Errors errors;
  errors.Add(KillTender(record), absl::StrCat("tender ", record.pid));
  for (const RecordedTap& tap : record.taps) {
    errors.Add(RemoveTap(tap), absl::StrCat("tap ", tap.name));
  }
  errors.Add(RemoveCgroup(record), absl::StrCat("cgroup ", record.cgroup));
  errors.Add(DetachRoot(bundle), "root file system");
  errors.Add(RemoveImages(bundle), "images of volumes");
  return errors.first();
}

// The record, or what stands in for one that is damaged.
TaskRecord FindRecord(const std::string& bundle, const BundleNotes& notes) {
  absl::StatusOr<TaskRecord> record = ReadTaskRecord(bundle);
  if (record.ok()) return *std::move(record);
  TaskRecord known;
  if (absl::IsNotFound(record.status())) return known;
  Warn(record.status());
  if (notes.cgroups_path.empty()) return known;
  const auto place = ParseCgroupsPath(notes.cgroups_path);
  Warn(place.status());
  if (place.ok()) {
    known.cgroup = place->path;
    known.scope = place->scope;
  }
  return known;
}

// The path of the socket that containerd or `start` noted in the bundle; empty
// when nobody did.
std::string NotedSocket(const std::string& bundle) {
  absl::StatusOr<std::string> text =
      ReadFile(JoinPath(bundle, kAddressFile), kMaxNote);
  if (!text.ok()) {
    // containerd 2's, also in the bundles that no `start` was called for.
    const auto noted = ReadFile(JoinPath(bundle, "bootstrap.json"), kMaxNote);
    if (!noted.ok()) return "";
    const auto json = nlohmann::json::parse(*noted, nullptr, false);
    if (!json.is_object() || !json.contains("address") ||
        !json["address"].is_string()) {
      return "";
    }
    text = json["address"].get<std::string>();
  }
  absl::string_view path = absl::StripAsciiWhitespace(*text);
  if (!absl::ConsumePrefix(&path, "unix://") || !absl::StartsWith(path, "/")) {
    return "";
  }
  return std::string(path);
}

absl::StatusOr<std::string> SocketOf(const Options& options,
                                     const Surroundings& surroundings,
                                     const std::string& bundle,
                                     const BundleNotes& notes) {
  const std::string noted = NotedSocket(bundle);
  if (!noted.empty()) return noted;
  return SocketPath(SocketDirectory(surroundings.socket_directory, ""),
                    options.namespace_name,
                    notes.group.empty() ? options.id : notes.group,
                    options.address);
}

// One that nobody listens at any more.
absl::Status RemoveStaleSocket(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/'));
  if (!PathExists(directory)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd lock, LockSocketDirectory(directory));
  ASSIGN_OR_RETURN(const bool served, IsServed(path));
  return served ? absl::OkStatus() : RemovePath(path);
}

// The other tasks of a pod whose shim has died: from version 3 on containerd
// calls `delete` for the sandbox only. Their records stay, for the exit status.
absl::Status CleanUpPod(const std::string& bundle, const std::string& pod) {
  const std::string parent = bundle.substr(0, bundle.rfind('/'));
  const auto names = ListDir(parent);
  if (!names.ok()) return absl::OkStatus();
  Errors errors;
  for (const std::string& name : *names) {
    const std::string other = JoinPath(parent, name);
    if (other == bundle) continue;
    const auto record = ReadTaskRecord(other);
    if (!record.ok() || record->pod != pod) continue;
    errors.Add(CleanUp(other, *record), name);
  }
  return errors.first();
}

std::string Answer(const TaskRecord& record) {
  const RecordedExit exit =
      record.exit.value_or(RecordedExit{kUnknownExit, absl::Now()});
  task::DeleteResponse response;
  response.set_pid(static_cast<uint32_t>(record.pid));
  response.set_exit_status(exit.status);
  const timespec time = absl::ToTimespec(exit.time);
  response.mutable_exited_at()->set_seconds(time.tv_sec);
  response.mutable_exited_at()->set_nanos(static_cast<int32_t>(time.tv_nsec));
  return response.SerializeAsString();
}

}  // namespace

absl::StatusOr<std::string> DeleteLeftovers(const Options& options,
                                            const Surroundings& surroundings) {
  const std::string& bundle =
      options.bundle.empty() ? surroundings.directory : options.bundle;
  absl::StatusOr<BundleNotes> notes = ReadBundleNotes(bundle);
  Warn(notes.status());
  if (!notes.ok()) notes = BundleNotes();
  ASSIGN_OR_RETURN(const std::string socket,
                   SocketOf(options, surroundings, bundle, *notes));
  ASSIGN_OR_RETURN(bool served, IsServed(socket));
  if (served) {
    const auto deleted = DeleteFromLiveShim(socket, options.id);
    if (deleted.ok()) return deleted->SerializeAsString();
    // It lives, and has the task: nothing is taken away underneath it.
    if (absl::IsDeadlineExceeded(deleted.status())) return deleted.status();
    if (absl::IsUnavailable(deleted.status())) {
      // It ends just now, as it does behind its last task; or it is dead, and a
      // child that it had just forked still held its socket.
      served = false;
    } else if (!absl::IsNotFound(deleted.status())) {
      Warn(Annotate(deleted.status(), "asking the shim"));
    }
  }
  const TaskRecord record = FindRecord(bundle, *notes);
  Errors errors;
  errors.Add(CleanUp(bundle, record), options.id);
  if (!served && (notes->group.empty() || notes->group == options.id)) {
    errors.Add(CleanUpPod(bundle, options.id), "pod");
  }
  if (errors.first().ok()) errors.Add(RemoveTaskRecord(bundle), "record");
  errors.Add(RemoveStaleSocket(socket), "socket");
  RETURN_IF_ERROR(errors.first());
  return Answer(record);
}

}  // namespace serai::shim
