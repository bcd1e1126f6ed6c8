// SPDX-License-Identifier: Apache-2.0
#include "cri/recovery/recovery.h"

#include <map>
#include <set>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "cri/bundle/bundle.h"
#include "cri/layout.h"
#include "cri/state/boot_id.h"
#include "lib/base/event.h"
#include "lib/base/file.h"
#include "lib/base/worker_pool.h"
#include "lib/host/netns.h"
#include "shim/state_file.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// How long the daemon's start waits for shims to tell of their tasks.
constexpr absl::Duration kPatience = absl::Seconds(2);
// So many shims are connected to at a time. One that listens and does not
// accept takes a while.
constexpr int kMaxConnecting = 32;

void Log(const std::string& id, absl::string_view what,
         const absl::Status& status) {
  if (status.ok()) return;
  spdlog::error("{}: {}: {}", id, std::string(what),
                std::string(status.message()));
}

bool IsOfThisBoot(const PodRecord& record) {
  // Records had no boot id at first; then the pod's namespace tells.
  return record.boot_id().empty() || record.boot_id() == BootId();
}

}  // namespace

// Shared with those who answer, as they may do so when nobody waits any more.
struct Recovery::Pending {
  absl::Mutex mutex;
  // By id; null for one that is being taken down, and, until all are here, with
  // an id that nobody has.
  std::map<std::string, std::shared_ptr<Container>> containers
      ABSL_GUARDED_BY(mutex) = {{"", nullptr}};
  serai::Event all_known;

  void Add(const std::string& id, std::shared_ptr<Container> container) {
    absl::MutexLock lock(&mutex);
    containers[id] = std::move(container);
  }
  void Known(const std::string& id) {
    absl::MutexLock lock(&mutex);
    containers.erase(id);
    if (containers.empty()) all_known.Notify();
  }
};

absl::Status Recovery::Run() {
  ASSIGN_OR_RETURN(const FoundRecords found, FindRecords(store_));
  for (const auto& [id, name] : found.newer) {
    if (!name.empty()) Log(id, "its name", store_.ReserveName(name, id));
  }
  AddPods(found);
  AddContainers(found);
  AwaitAnswers();
  RestoreImages(found);
  ReleaseUnknownNetworks(found);
  FinishLater(found);
  return absl::OkStatus();
}

void Recovery::AddPods(const FoundRecords& found) {
  size_t of_another_boot = 0;
  for (const PodRecord& record : found.pods) {
    AddPod(record);
    if (!record.stopped() && !IsOfThisBoot(record)) ++of_another_boot;
  }
  if (of_another_boot != 0) {
    spdlog::info("the node was restarted: its {} pods are not ready any more",
                 of_another_boot);
  }
  WorkerPool connecting(kMaxConnecting);
  for (const std::shared_ptr<Pod>& pod : store_.Pods()) {
    const std::shared_ptr<const PodRecord> record = pod->record.Read();
    if (record->stopped() || !IsOfThisBoot(*record)) continue;
    connecting.Run([this, pod] { Connect(*pod); });
  }
  connecting.WaitUntilIdle();
}

void Recovery::AddPod(const PodRecord& record) {
  auto pod = std::make_shared<Pod>(store_.PodPath(record.id()), record);
  Log(record.id(), "its name",
      store_.ReserveName(PodName(record.config()), record.id()));
  if (!record.committed()) {
    half_made_.push_back(std::move(pod));
    return;
  }
  if (!record.stopped()) {
    if (!IsOfThisBoot(record)) {
      pod->alive = false;
    } else if (!record.stopping()) {
      const absl::Status netns = host::OpenNetns(record.netns_path()).status();
      pod->alive = netns.ok();
      Log(record.id(), "its network namespace is gone", netns);
    }
    if (!pod->alive || record.stopping()) to_stop_.push_back(pod);
  }
  store_.Add(std::move(pod));
}

void Recovery::Connect(Pod& pod) {
  absl::StatusOr<std::shared_ptr<Shim>> shim =
      Shim::Connect(pod.record.Read()->shim_address());
  // One that was killed is no news; another is started when it is needed.
  if (!absl::IsUnavailable(shim.status())) {
    Log(pod.id, "reconnecting to its shim", shim.status());
  }
  if (shim.ok()) pod.set_shim(*std::move(shim));
}

void Recovery::AddContainers(const FoundRecords& found) {
  pending_ = std::make_shared<Pending>();
  for (const ContainerRecord& record : found.containers) {
    const auto pod = store_.FindPod(record.pod_id());
    if (!pod.ok() || record.image_id().empty()) {
      RemoveLeftover(record);
      continue;
    }
    auto container =
        std::make_shared<Container>(store_.ContainerPath(record.id()), record);
    store_.Add(container);
    if (record.removing()) to_remove_.push_back(record.id());
    if (PhaseOf(record) == ContainerPhase::kExited) {
      container->ended.Notify();
    } else {
      Follow(*pod, container);
    }
  }
  // Their tasks must not be in the way of what kubelet makes in their place.
  for (const std::string& id : found.unreadable_containers) DropContainer(id);
  pending_->Known("");
}

void Recovery::RemoveLeftover(const ContainerRecord& record) {
  const auto cgroup = host::Cgroup::Open(cgroups_, record.cgroup());
  absl::Status status = cgroup.ok() ? cgroup->Destroy() : cgroup.status();
  status = FirstError(status, RemoveBundle(record.bundle()));
  status = FirstError(status, RemoveTree(VolumesOf(config_, record.id())));
  if (status.ok()) status = RemovePath(store_.ContainerPath(record.id()));
  Log(record.id(), "removing what is left of it", status);
}

void Recovery::Follow(const std::shared_ptr<Pod>& pod,
                      const std::shared_ptr<Container>& container) {
  const std::shared_ptr<const ContainerRecord> record =
      container->record.Read();
  if (!IsOfThisBoot(*pod->record.Read())) {
    watcher_.RecordLost(*container, "the node was restarted");
    return;
  }
  const std::shared_ptr<Shim> shim = pod->shim();
  if (shim != nullptr) {
    pending_->Add(container->id, container);
    watcher_.Follow(container, shim, [pending = pending_, id = container->id] {
      pending->Known(id);
    });
    return;
  }
  // Whether it ran to its end, nobody knows; it does not run now, nor can it be
  // started where its pod is gone.
  if (PhaseOf(*record) == ContainerPhase::kRunning ||
      record->starting_at_ns() != 0 || record->has_end() || !pod->alive) {
    watcher_.RecordLost(*container, "its shim is gone");
  }
}

void Recovery::AwaitAnswers() {
  std::map<std::string, std::shared_ptr<Container>> silent;
  if (pending_->all_known.WaitForNotificationWithTimeout(kPatience)) return;
  {
    absl::MutexLock lock(&pending_->mutex);
    silent = pending_->containers;
  }
  for (const auto& [id, container] : silent) {
    if (container != nullptr) TellAsLastSeen(container);
  }
}

void Recovery::TellAsLastSeen(const std::shared_ptr<Container>& container) {
  const std::shared_ptr<const ContainerRecord> record =
      container->record.Read();
  spdlog::warn(
      "container {}: its shim does not answer; until it does, it is "
      "told of as it was last seen",
      container->id);
  if (record->has_end()) {
    return watcher_.RecordLost(*container, "its shim does not answer");
  }
  if (PhaseOf(*record) != ContainerPhase::kCreated) return;
  const auto cgroup = host::Cgroup::Open(cgroups_, record->cgroup());
  if (!cgroup.ok()) return;
  const auto processes = cgroup->Processes();
  if (!processes.ok() || processes->empty()) return;
  watcher_.RecordRunning(*container);
  // It may be that it was not started, and that the answer came just now.
  const auto pod = store_.FindPod(container->pod_id);
  const auto shim = pod.ok() ? (*pod)->shim() : nullptr;
  if (shim != nullptr) watcher_.Follow(container, shim, [] {});
}

void Recovery::DropContainer(const std::string& id) {
  const std::string bundle = BundleDirectory(config_, id);
  pending_->Add(id, nullptr);
  pods_.Later([id, bundle, volumes = VolumesOf(config_, id),
               shims = ShimsOf(bundle), pending = pending_] {
    absl::Status status;
    for (const auto& shim : shims) {
      status = FirstError(status, shim->Destroy(id));
    }
    status = FirstError(status, RemoveBundle(bundle));
    Log(id, "taking it down", FirstError(status, RemoveTree(volumes)));
    pending->Known(id);
  });
}

// Those that may have the task of a bundle: where its record is lost, only the
// shim's own note tells which pod it is in.
std::vector<std::shared_ptr<Shim>> Recovery::ShimsOf(
    const std::string& bundle) const {
  std::vector<std::shared_ptr<Shim>> shims;
  const auto task = shim::ReadTaskRecord(bundle);
  if (absl::IsNotFound(task.status())) return shims;
  for (const std::shared_ptr<Pod>& pod : store_.Pods()) {
    if (task.ok() && !task->pod.empty() && task->pod != pod->id) continue;
    if (auto shim = pod->shim(); shim != nullptr) shims.push_back(shim);
  }
  return shims;
}

void Recovery::FinishLater(const FoundRecords& found) {
  for (const std::string& id : found.unreadable_pods) pods_.DropLater(id);
  for (const auto& pod : half_made_) pods_.UndoLater(pod);
  for (const auto& pod : to_stop_) pods_.StopLater(pod);
  for (const std::string& id : to_remove_) pods_.RemoveContainerLater(id);
}

void Recovery::RestoreImages(const FoundRecords& found) {
  std::map<std::string, std::string> held = found.images_of_newer;
  for (const auto& container : store_.Containers()) {
    held.emplace(container->id, container->record.Read()->image_id());
  }
  images_.Restore(held);
}

void Recovery::ReleaseUnknownNetworks(const FoundRecords& found) {
  const auto attachments = network_.Attachments();
  Log("network", "reading the attachments", attachments.status());
  if (!attachments.ok()) return;
  std::set<std::string> known(found.unreadable_pods.begin(),
                              found.unreadable_pods.end());
  for (const PodRecord& record : found.pods) known.insert(record.id());
  for (const auto& [id, name] : found.newer) known.insert(id);
  for (const cni::Attachment& attachment : *attachments) {
    if (known.count(attachment.container_id) != 0) continue;
    pods_.Later([&network = network_, attachment] {
      Log(attachment.container_id, "giving back its network",
          network.Del(attachment.container_id, attachment.interface_name));
    });
  }
}

}  // namespace serai::cri
