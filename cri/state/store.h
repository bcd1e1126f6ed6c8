// SPDX-License-Identifier: Apache-2.0
#pragma once

// The pods and containers of this node, in memory, each with its record on
// disk. Any thread. Lock order: Pod::operation before anything in here; the
// store's own lock is held for map operations only.

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "cri/state/console_end.h"
#include "cri/state/record.h"
#include "cri/stats/cpu_rate.h"
#include "cri/task/shim.h"
#include "lib/base/event.h"
#include "lib/base/status.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

struct Pod {
  Pod(std::string path, const PodRecord& initial)
      : id(initial.id()), record(std::move(path), initial) {}

  const std::string id;
  Record<PodRecord> record;
  // Held through a whole change of the pod or of its containers. Status and
  // list calls don't take it and so never wait for a slow stop.
  absl::Mutex operation;
  // Whether what it is made of still exists: not after a reboot.
  std::atomic<bool> alive = true;
  CpuRate cpu_rate;

  // The connection to the pod's shim; null when there is none.
  std::shared_ptr<Shim> shim() const {
    absl::MutexLock lock(&shim_mutex_);
    return shim_;
  }
  void set_shim(std::shared_ptr<Shim> shim) {
    absl::MutexLock lock(&shim_mutex_);
    shim_ = std::move(shim);
  }

 private:
  mutable absl::Mutex shim_mutex_;
  std::shared_ptr<Shim> shim_ ABSL_GUARDED_BY(shim_mutex_);
};

enum class ContainerPhase { kCreated, kRunning, kExited };

// Whether a pod's network and shim are there to be used.
bool IsReady(const Pod& pod, const PodRecord& record);

// A record's phase follows from its times.
ContainerPhase PhaseOf(const ContainerRecord& record);

struct Container {
  Container(std::string path, const ContainerRecord& initial)
      : id(initial.id()),
        pod_id(initial.pod_id()),
        record(std::move(path), initial) {}

  const std::string id;
  const std::string pod_id;
  Record<ContainerRecord> record;
  // Notified once, when the record says how the guest ended.
  serai::Event ended;
  // Held while the end is written: a stop that gives a shim up and the exit
  // watcher may find the same one.
  absl::Mutex ending;
  CpuRate cpu_rate;
  // A shim has been asked for the counters of its devices and has not answered.
  std::atomic<bool> devices_asked = false;
  ConsoleEnd console_end;
};

class Store {
 public:
  // Records are `root`/pods/<id>.json and `root`/containers/<id>.json.
  explicit Store(std::string root) : root_(std::move(root)) {}

  std::string PodPath(const std::string& id) const;
  std::string ContainerPath(const std::string& id) const;
  std::string PodDirectory() const;
  std::string ContainerDirectory() const;

  // Takes `name` for `id`. ALREADY_EXISTS, with the id that has it.
  absl::Status ReserveName(const std::string& name, const std::string& id);
  // Who has it; empty: nobody.
  std::string HolderOf(const std::string& name) const;
  // Gives back every name of `id`.
  void ReleaseNames(const std::string& id);

  void Add(std::shared_ptr<Pod> pod);
  void Add(std::shared_ptr<Container> container);
  void RemovePod(const std::string& id);
  void RemoveContainer(const std::string& id);

  // By id or an unambiguous beginning of one. NOT_FOUND with a sentence;
  // INVALID_ARGUMENT for an ambiguous beginning or none at all.
  absl::StatusOr<std::shared_ptr<Pod>> FindPod(absl::string_view id) const;
  absl::StatusOr<std::shared_ptr<Container>> FindContainer(
      absl::string_view id) const;

  // By id.
  std::vector<std::shared_ptr<Pod>> Pods() const;
  std::vector<std::shared_ptr<Container>> Containers() const;
  std::vector<std::shared_ptr<Container>> ContainersOf(
      const std::string& pod_id) const;

 private:
  const std::string root_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::string> names_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Pod>> pods_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Container>> containers_
      ABSL_GUARDED_BY(mutex_);
};

// A new random id: 64 hexadecimal digits, as the container world has them.
std::string NewId();
bool IsId(absl::string_view text);

}  // namespace serai::cri
