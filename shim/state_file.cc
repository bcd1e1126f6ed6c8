// SPDX-License-Identifier: Apache-2.0
#include "shim/state_file.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/file.h"

namespace serai::shim {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kVersion = 1;
constexpr size_t kMaxBytes = 64 * 1024;

std::string PathIn(const std::string& bundle) {
  return JoinPath(bundle, "serai-task.json");
}

Json ToJson(const TaskRecord& record) {
  Json json = {{"version", kVersion},
               {"id", record.id},
               {"pod", record.pod},
               {"pid", record.pid},
               {"startTime", record.start_time},
               {"cgroup", record.cgroup},
               {"madeCgroups", record.made_cgroups},
               {"scope", record.scope}};
  for (const RecordedTap& tap : record.taps) {
    json["taps"].push_back({{"netns", tap.netns},
                            {"netnsInode", tap.netns_inode},
                            {"interface", tap.interface},
                            {"name", tap.name},
                            {"index", tap.index}});
  }
  if (record.exit) {
    json["exit"] = {{"status", record.exit->status},
                    {"timeNs", absl::ToUnixNanos(record.exit->time)}};
  }
  return json;
}

// Reads the members of an object, each of which may be missing; remembers
// whether one was there that is not what it should be.
class Members {
 public:
  explicit Members(const Json& object) : object_(object) {
    if (!object.is_object()) good_ = false;
  }

  bool good() const { return good_; }

  const Json* Find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  std::string String(const char* name) {
    const Json* found = Find(name);
    if (found == nullptr) return "";
    if (found->is_string()) return found->get<std::string>();
    good_ = false;
    return "";
  }

  uint64_t Number(const char* name, uint64_t max) {
    const Json* found = Find(name);
    if (found == nullptr) return 0;
    if (found->is_number_unsigned() && found->get<uint64_t>() <= max) {
      return found->get<uint64_t>();
    }
    good_ = false;
    return 0;
  }

  // Calls `take` with each element of an array.
  template <typename Take>
  void Each(const char* name, Take take) {
    const Json* found = Find(name);
    if (found == nullptr) return;
    if (!found->is_array()) good_ = false;
    for (const Json& element : *found) good_ = take(element) && good_;
  }

 private:
  const Json& object_;
  bool good_ = true;
};

// False when the JSON is no record.
bool FromJson(const Json& json, TaskRecord& record) {
  Members members(json);
  if (members.Number("version", kVersion) != kVersion) return false;
  record.id = members.String("id");
  if (record.id.empty()) return false;
  record.pod = members.String("pod");
  record.pid = static_cast<pid_t>(
      members.Number("pid", std::numeric_limits<pid_t>::max()));
  record.start_time = members.Number("startTime", UINT64_MAX);
  record.cgroup = members.String("cgroup");
  record.scope = members.String("scope");
  members.Each("madeCgroups", [&](const Json& element) {
    if (element.is_string()) record.made_cgroups.push_back(element);
    return element.is_string();
  });
  members.Each("taps", [&](const Json& element) {
    Members tap(element);
    record.taps.push_back(
        {tap.String("netns"), tap.Number("netnsInode", UINT64_MAX),
         tap.String("interface"), tap.String("name"),
         static_cast<uint32_t>(tap.Number("index", INT32_MAX))});
    return tap.good();
  });
  if (const Json* found = members.Find("exit")) {
    Members exit(*found);
    record.exit = RecordedExit{
        static_cast<uint32_t>(exit.Number("status", UINT32_MAX)),
        absl::FromUnixNanos(
            static_cast<int64_t>(exit.Number("timeNs", INT64_MAX)))};
    if (!exit.good()) return false;
  }
  return members.good();
}

}  // namespace

absl::Status WriteTaskRecord(const std::string& bundle,
                             const TaskRecord& record) {
  return WriteFileAtomic(
      PathIn(bundle),
      ToJson(record).dump(2, ' ', false, Json::error_handler_t::replace) + "\n",
      0600, Durability::kProcess);  // no process outlives the machine
}

absl::StatusOr<TaskRecord> ReadTaskRecord(const std::string& bundle) {
  const std::string path = PathIn(bundle);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxBytes));
  TaskRecord record;
  if (!FromJson(Json::parse(text, nullptr, false), record)) {
    return absl::DataLossError(absl::StrCat(path, " is damaged"));
  }
  return record;
}

absl::Status RemoveTaskRecord(const std::string& bundle) {
  return RemovePath(PathIn(bundle));
}

}  // namespace serai::shim
