// SPDX-License-Identifier: Apache-2.0
#include "cri/containerd/views.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cri/state/record.h"
#include "lib/base/fault.h"
#include "lib/base/file.h"
#include "proto/state/record.pb.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using state::v1::ViewRecord;

constexpr absl::string_view kSuffix = ".json";
constexpr absl::Duration kFirstRetry = absl::Milliseconds(500);
constexpr absl::Duration kLastRetry = absl::Seconds(10);
// A call whose answer we did not hear may still be under way in containerd: a
// view that is not there may come for so long.
constexpr absl::Duration kSettled = absl::Seconds(20);

std::string Key(const std::string& holder) {
  return absl::StrCat("serai-", holder);
}

// containerd's garbage collection leaves what has the first of these, and all
// that it is made of.
std::map<std::string, std::string> Labels(const std::string& holder) {
  return {{"containerd.io/gc.root", absl::FormatTime(absl::Now())},
          {"dev.serai.container", holder}};
}

// That it came to nothing in containerd is sure.
bool IsDefinite(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsInvalidArgument(status);
}

}  // namespace

Views::Views(ContainerdClient& client, std::string directory,
             std::string snapshotter)
    : client_(client),
      directory_(std::move(directory)),
      snapshotter_(std::move(snapshotter)),
      thread_([this] { Run(); }) {}

Views::~Views() {
  {
    const absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

std::string Views::RecordPath(const std::string& holder) const {
  return absl::StrCat(JoinPath(directory_, holder), kSuffix);
}

absl::Status Views::WriteRecord(const std::string& holder) const {
  RETURN_IF_ERROR(MakeDirs(directory_));
  ViewRecord record;
  record.set_version(kRecordVersion);
  record.set_id(holder);
  record.set_snapshotter(snapshotter_);
  record.set_created_at_ns(absl::GetCurrentTimeNanos());
  // containerd's own record of the view survives the machine.
  return SaveRecord(RecordPath(holder), record, Durability::kMachine);
}

absl::StatusOr<std::vector<ViewMount>> Views::Make(const std::string& holder,
                                                   const std::string& parent) {
  RETURN_IF_ERROR(WriteRecord(holder));
  absl::Status status = FaultPoint("image.view-record");
  if (status.ok()) {
    auto mounts =
        client_.MakeView(snapshotter_, Key(holder), parent, Labels(holder));
    status = mounts.status();
    if (status.ok()) status = FaultPoint("image.view");
    if (status.ok()) return mounts;
  }
  if (IsDefinite(status)) {
    return FirstError(status, RemovePath(RecordPath(holder)));
  }
  Drop(holder);
  return status;
}

void Views::Drop(const std::string& holder) {
  if (!PathExists(RecordPath(holder))) return;
  const absl::MutexLock lock(&mutex_);
  dropped_.insert(holder);
  changed_.SignalAll();
}

absl::Status Views::DropAllBut(const std::set<std::string>& holders) {
  RETURN_IF_ERROR(MakeDirs(directory_));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory_));
  for (const std::string& name : names) {
    if (absl::StrContains(name, ".tmp.")) {
      RETURN_IF_ERROR(RemovePath(JoinPath(directory_, name)));
      continue;
    }
    if (!absl::EndsWith(name, kSuffix)) continue;
    const std::string holder(absl::StripSuffix(name, kSuffix));
    if (holders.count(holder) == 0) Drop(holder);
  }
  return absl::OkStatus();
}

absl::Status Views::RemoveNow(const std::string& holder) {
  const std::string path = RecordPath(holder);
  ViewRecord record;
  const absl::Status loaded = LoadRecord(path, record);
  if (absl::IsNotFound(loaded)) return absl::OkStatus();
  // Only a hand that is not ours leaves one that can't be read; its name says
  // whose it is, all the same.
  if (!loaded.ok()) record.set_snapshotter(snapshotter_);
  const absl::Status removed =
      client_.RemoveSnapshot(record.snapshotter(), Key(holder));
  const absl::Time made = absl::FromUnixNanos(record.created_at_ns());
  // Someone may have set the clock back since.
  const bool never_there = absl::IsNotFound(removed) &&
                           absl::AbsDuration(absl::Now() - made) > kSettled;
  if (!removed.ok() && !never_there) return removed;
  RETURN_IF_ERROR(FaultPoint("image.view-removed"));
  return RemovePath(path);
}

// The first error. When containerd does not answer, the others wait as well.
absl::Status Views::RemoveDropped() {
  std::set<std::string> holders;
  {
    const absl::MutexLock lock(&mutex_);
    holders = dropped_;
  }
  absl::Status status;
  for (const std::string& holder : holders) {
    const absl::Status removed = RemoveNow(holder);
    status = FirstError(status, removed);
    if (absl::IsUnavailable(removed) || absl::IsDeadlineExceeded(removed)) {
      break;
    }
    if (!removed.ok()) continue;
    const absl::MutexLock lock(&mutex_);
    dropped_.erase(holder);
  }
  return status;
}

void Views::Run() {
  absl::Duration retry = kFirstRetry;
  std::string complaint;
  for (;;) {
    const absl::Status status = RemoveDropped();
    const std::string message(status.message());
    // Not found is waited for, and nobody's trouble.
    if (message != complaint && !absl::IsNotFound(status)) {
      if (!status.ok()) spdlog::warn("views to be removed wait: {}", message);
      complaint = message;
    }
    const absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    if (status.ok()) {
      retry = kFirstRetry;
      while (dropped_.empty() && !stopping_) changed_.Wait(&mutex_);
      continue;
    }
    changed_.WaitWithTimeout(&mutex_, retry);
    retry = std::min(retry * 2, kLastRetry);
  }
}

}  // namespace serai::cri
