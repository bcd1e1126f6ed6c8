// SPDX-License-Identifier: Apache-2.0
#include "cri/state/store.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace serai::cri {
namespace {

constexpr size_t kIdBytes = 32;

// The only entry of `map` whose key starts with `id`.
template <typename T>
absl::StatusOr<std::shared_ptr<T>> Find(
    const std::map<std::string, std::shared_ptr<T>>& map, absl::string_view id,
    absl::string_view what) {
  if (id.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ", what, " id is empty"));
  }
  const auto found = map.lower_bound(std::string(id));
  if (found == map.end() || !absl::StartsWith(found->first, id)) {
    return absl::NotFoundError(
        absl::StrCat("no ", what, " with id \"", id, "\""));
  }
  const auto next = std::next(found);
  if (found->first != id && next != map.end() &&
      absl::StartsWith(next->first, id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", id, "\" begins the ids of several ", what, "s"));
  }
  return found->second;
}

template <typename T>
std::vector<std::shared_ptr<T>> Values(
    const std::map<std::string, std::shared_ptr<T>>& map) {
  std::vector<std::shared_ptr<T>> values;
  values.reserve(map.size());
  for (const auto& [id, value] : map) values.push_back(value);
  return values;
}

}  // namespace

bool IsReady(const Pod& pod, const PodRecord& record) {
  return record.committed() && !record.stopping() && !record.stopped() &&
         pod.alive;
}

ContainerPhase PhaseOf(const ContainerRecord& record) {
  if (record.finished_at_ns() != 0) return ContainerPhase::kExited;
  if (record.started_at_ns() != 0) return ContainerPhase::kRunning;
  return ContainerPhase::kCreated;
}

std::string Store::PodDirectory() const { return JoinPath(root_, "pods"); }

std::string Store::ContainerDirectory() const {
  return JoinPath(root_, "containers");
}

std::string Store::PodPath(const std::string& id) const {
  return absl::StrCat(PodDirectory(), "/", id, ".json");
}

std::string Store::ContainerPath(const std::string& id) const {
  return absl::StrCat(ContainerDirectory(), "/", id, ".json");
}

absl::Status Store::ReserveName(const std::string& name,
                                const std::string& id) {
  absl::MutexLock lock(&mutex_);
  const auto [entry, inserted] = names_.emplace(name, id);
  if (inserted || entry->second == id) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat("the name ", name, " is taken by ", entry->second));
}

std::string Store::HolderOf(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  const auto found = names_.find(name);
  return found == names_.end() ? std::string() : found->second;
}

void Store::ReleaseNames(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  for (auto entry = names_.begin(); entry != names_.end();) {
    entry = entry->second == id ? names_.erase(entry) : std::next(entry);
  }
}

void Store::Add(std::shared_ptr<Pod> pod) {
  absl::MutexLock lock(&mutex_);
  pods_[pod->id] = std::move(pod);
}

void Store::Add(std::shared_ptr<Container> container) {
  absl::MutexLock lock(&mutex_);
  containers_[container->id] = std::move(container);
}

void Store::RemovePod(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  pods_.erase(id);
}

void Store::RemoveContainer(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  containers_.erase(id);
}

absl::StatusOr<std::shared_ptr<Pod>> Store::FindPod(
    absl::string_view id) const {
  absl::MutexLock lock(&mutex_);
  return Find(pods_, id, "pod");
}

absl::StatusOr<std::shared_ptr<Container>> Store::FindContainer(
    absl::string_view id) const {
  absl::MutexLock lock(&mutex_);
  return Find(containers_, id, "container");
}

std::vector<std::shared_ptr<Pod>> Store::Pods() const {
  absl::MutexLock lock(&mutex_);
  return Values(pods_);
}

std::vector<std::shared_ptr<Container>> Store::Containers() const {
  absl::MutexLock lock(&mutex_);
  return Values(containers_);
}

std::vector<std::shared_ptr<Container>> Store::ContainersOf(
    const std::string& pod_id) const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<Container>> containers;
  for (const auto& [id, container] : containers_) {
    if (container->pod_id == pod_id) containers.push_back(container);
  }
  return containers;
}

std::string NewId() {
  std::array<char, kIdBytes> bytes;
  // Up to 256 bytes never come short once the kernel's pool is ready.
  if (::getrandom(bytes.data(), bytes.size(), 0) !=
      static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

bool IsId(absl::string_view text) {
  return text.size() == 2 * kIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace serai::cri
