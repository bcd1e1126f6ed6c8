// SPDX-License-Identifier: Apache-2.0
#include "cri/recovery/recovery.h"

#include <cstdio>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cri/layout.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

void Log(const std::string& id, absl::string_view what,
         const absl::Status& status) {
  if (status.ok()) return;
  spdlog::error("{}: {}: {}", id, std::string(what),
                std::string(status.message()));
}

bool IsId(absl::string_view text) {
  return text.size() == NewId().size() &&
         absl::c_all_of(text, absl::ascii_isxdigit);
}

// Reads every record in `directory`. What can't be read is put aside, and
// `drop` is given the id that its name says.
template <typename Message>
absl::Status LoadAll(const std::string& directory,
                     absl::FunctionRef<void(const Message&)> use,
                     absl::FunctionRef<void(const std::string&)> drop) {
  RETURN_IF_ERROR(MakeDirs(directory));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory, name);
    if (absl::StrContains(name, ".tmp.")) {
      RETURN_IF_ERROR(RemovePath(path));
      continue;
    }
    if (!absl::EndsWith(name, ".json")) continue;
    Message record;
    absl::Status status = LoadRecord(path, record);
    if (status.ok() && record.version() != kRecordVersion) {
      status = absl::FailedPreconditionError(
          absl::StrCat("version ", record.version(), ", this seraid reads ",
                       kRecordVersion));
    }
    if (status.ok() && absl::StrCat(record.id(), ".json") != name) {
      status = absl::DataLossError("the id in it is another's");
    }
    if (status.ok()) {
      use(record);
      continue;
    }
    Log(path, "put aside", status);
    ::rename(path.c_str(), (path + ".unreadable").c_str());
    const std::string id(absl::StripSuffix(name, ".json"));
    if (IsId(id)) drop(id);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Recovery::Run() {
  RETURN_IF_ERROR(LoadPods());
  RETURN_IF_ERROR(LoadContainers());
  RestoreImages();
  ReleaseUnknownNetworks();
  return absl::OkStatus();
}

absl::Status Recovery::LoadPods() {
  return LoadAll<PodRecord>(
      store_.PodDirectory(), [this](const PodRecord& r) { RecoverPod(r); },
      [this](const std::string& id) { DropPod(id); });
}

absl::Status Recovery::LoadContainers() {
  return LoadAll<ContainerRecord>(
      store_.ContainerDirectory(),
      [this](const ContainerRecord& r) { RecoverContainer(r); },
      [this](const std::string& id) { DropContainer(id); });
}

void Recovery::RecoverPod(const PodRecord& record) {
  auto pod = std::make_shared<Pod>(store_.PodPath(record.id()), record);
  if (!record.committed()) {
    absl::Status undone = pods_.TearDown(*pod);
    if (undone.ok()) undone = pod->record.Erase();
    if (undone.ok()) {
      spdlog::info("pod {}: half made, undone", record.id());
      return;
    }
    Log(record.id(), "undoing what was half made", undone);
    pod->alive = false;
  } else if (!record.stopped()) {
    const absl::Status netns = host::OpenNetns(record.netns_path()).status();
    pod->alive = netns.ok();
    Log(record.id(), "its network namespace is gone", netns);
    Reconnect(*pod);
  }
  Log(record.id(), "its name",
      store_.ReserveName(PodName(record.config()), record.id()));
  store_.Add(std::move(pod));
}

void Recovery::DropPod(const std::string& id) {
  const absl::StatusOr<PodRecord> names = pods_.Names(id, "");
  absl::Status status = names.status();
  if (status.ok()) {
    Pod pod(store_.PodPath(id), *names);
    Reconnect(pod);
    status = pods_.TearDown(pod);
  }
  Log(id, "taking it down", status);
}

void Recovery::Reconnect(Pod& pod) {
  absl::StatusOr<std::shared_ptr<Shim>> shim =
      Shim::Connect(pod.record.Get().shim_address());
  // A pod none of whose containers was started has no shim.
  if (!absl::IsUnavailable(shim.status())) {
    Log(pod.id, "reconnecting to its shim", shim.status());
  }
  if (shim.ok()) pod.set_shim(*std::move(shim));
}

void Recovery::RecoverContainer(const ContainerRecord& record) {
  auto container =
      std::make_shared<Container>(store_.ContainerPath(record.id()), record);
  const auto pod = store_.FindPod(record.pod_id());
  if (!pod.ok() || record.image_id().empty()) {
    const auto cgroup = host::Cgroup::Open(cgroups_, record.cgroup());
    absl::Status status = cgroup.ok() ? cgroup->Destroy() : cgroup.status();
    status = FirstError(status, RemoveTree(record.bundle()));
    Log(record.id(), "removing what is left of it",
        FirstError(status, container->record.Erase()));
    return;
  }
  store_.Add(container);
  if (PhaseOf(record) == ContainerPhase::kExited) {
    container->ended.Notify();
    return;
  }
  FollowTask(*pod, container);
}

void Recovery::DropContainer(const std::string& id) {
  absl::Status status;
  // Which pod it was in, only the shims know.
  for (const std::shared_ptr<Pod>& pod : store_.Pods()) {
    const std::shared_ptr<Shim> shim = pod->shim();
    if (shim != nullptr) status = FirstError(status, shim->Destroy(id));
  }
  Log(id, "taking it down",
      FirstError(status, RemoveTree(BundleDirectory(config_, id))));
}

void Recovery::FollowTask(const std::shared_ptr<Pod>& pod,
                          const std::shared_ptr<Container>& container) {
  const ContainerPhase phase = PhaseOf(container->record.Get());
  const std::shared_ptr<Shim> shim = pod->shim();
  const absl::StatusOr<TaskInfo> task =
      shim == nullptr
          ? absl::StatusOr<TaskInfo>(absl::NotFoundError("its shim is gone"))
          : shim->State(container->id);
  if (!task.ok()) {
    if (phase == ContainerPhase::kRunning) {
      watcher_.RecordLost(*container, task.status().message());
    }
    return;
  }
  switch (task->state) {
    case TaskState::kCreated:
      Log(container->id, "removing its task",
          shim->Delete(container->id).status());
      return;
    case TaskState::kStopped:
      watcher_.RecordExit(*container, *shim, task->exit);
      return;
    case TaskState::kRunning:
      if (phase == ContainerPhase::kCreated) {
        Log(container->id, "writing down that it runs",
            container->record.ChangeAlways([](ContainerRecord& r) {
              r.set_started_at_ns(absl::GetCurrentTimeNanos());
            }));
      }
      watcher_.Watch(container, shim);
  }
}

void Recovery::RestoreImages() {
  std::map<std::string, std::string> held;
  for (const auto& container : store_.Containers()) {
    held.emplace(container->id, container->record.Get().image_id());
  }
  images_.Restore(held);
}

void Recovery::ReleaseUnknownNetworks() {
  const auto attachments = network_.Attachments();
  Log("network", "reading the attachments", attachments.status());
  if (!attachments.ok()) return;
  for (const cni::Attachment& attachment : *attachments) {
    if (store_.FindPod(attachment.container_id).ok()) continue;
    Log(attachment.container_id, "giving back its network",
        network_.Del(attachment.container_id, attachment.interface_name));
  }
}

}  // namespace serai::cri
