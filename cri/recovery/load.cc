// SPDX-License-Identifier: Apache-2.0
#include "cri/recovery/load.h"

#include <algorithm>
#include <cstdio>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "lib/base/file.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

template <typename Message>
struct Directory {
  std::vector<Message> records;
  std::map<std::string, RecordOutline> newer;  // by id
  std::vector<std::string> unreadable;
};

template <typename Message>
void ReadOne(const std::string& directory, const std::string& name,
             Directory<Message>& found) {
  const std::string path = JoinPath(directory, name);
  const std::string id(absl::StripSuffix(name, ".json"));
  Message record;
  absl::Status status = LoadRecord(path, record);
  if (status.ok() && record.id() != id) {
    status = absl::DataLossError(
        absl::StrCat("reading ", path, ": the id in it is another's"));
  }
  if (status.ok()) {
    found.records.push_back(std::move(record));
    return;
  }
  // Of a later version, or one that can't be read now: the disk has an error,
  // or we have too many files open.
  if (!absl::IsDataLoss(status)) {
    spdlog::error("{}; what runs by it is left alone",
                  std::string(status.message()));
    found.newer[id] = OutlineOf(ReadRecordFile(path).value_or(std::string()));
    return;
  }
  spdlog::error("{}; put aside as {}.unreadable, and what runs by it is ended",
                std::string(status.message()), name);
  std::rename(path.c_str(), (path + ".unreadable").c_str());
  if (IsId(id)) found.unreadable.push_back(id);
}

template <typename Message>
absl::StatusOr<Directory<Message>> ReadDirectory(const std::string& directory) {
  Directory<Message> found;
  RETURN_IF_ERROR(MakeDirs(directory));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  for (const std::string& name : names) {
    if (absl::StrContains(name, ".tmp.")) {
      RETURN_IF_ERROR(RemovePath(JoinPath(directory, name)));
    } else if (absl::EndsWith(name, ".json")) {
      ReadOne(directory, name, found);
    }
  }
  return found;
}

template <typename Message>
void DropIf(std::vector<Message>& records,
            absl::FunctionRef<bool(const Message&)> drop) {
  records.erase(std::remove_if(records.begin(), records.end(), drop),
                records.end());
}

}  // namespace

absl::StatusOr<FoundRecords> FindRecords(const Store& store) {
  ASSIGN_OR_RETURN(auto pods, ReadDirectory<PodRecord>(store.PodDirectory()));
  ASSIGN_OR_RETURN(auto containers,
                   ReadDirectory<ContainerRecord>(store.ContainerDirectory()));
  FoundRecords found;
  for (const auto& [id, outline] : pods.newer) {
    found.newer[id] = outline.pod_name;
  }
  for (const auto& [id, outline] : containers.newer) {
    if (!outline.pod_id.empty()) found.newer[outline.pod_id];
    found.images_of_newer[id] = outline.image_id;
  }
  // A pod with a container of a newer seraid's is that one's as a whole.
  DropIf<PodRecord>(pods.records, [&found](const PodRecord& record) {
    const auto newer = found.newer.find(record.id());
    if (newer == found.newer.end()) return false;
    newer->second = PodName(record.config());
    return true;
  });
  DropIf<ContainerRecord>(
      containers.records, [&found](const ContainerRecord& record) {
        if (found.newer.count(record.pod_id()) == 0) return false;
        found.images_of_newer[record.id()] = record.image_id();
        return true;
      });
  found.pods = std::move(pods.records);
  found.containers = std::move(containers.records);
  found.unreadable_pods = std::move(pods.unreadable);
  found.unreadable_containers = std::move(containers.unreadable);
  return found;
}

}  // namespace serai::cri
