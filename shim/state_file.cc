// SPDX-License-Identifier: Apache-2.0
#include "shim/state_file.h"

#include <nlohmann/json.hpp>

#include "lib/base/file.h"

namespace serai::shim {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = 64 * 1024;

std::string PathIn(const std::string& bundle) {
  return JoinPath(bundle, "serai-task.json");
}

}  // namespace

absl::Status WriteTaskRecord(const std::string& bundle,
                             const TaskRecord& record) {
  const Json json = {
      {"version", kVersion},     {"id", record.id},
      {"pid", record.pid},       {"startTime", record.start_time},
      {"cgroup", record.cgroup}, {"madeCgroups", record.made_cgroups}};
  return WriteFileAtomic(
      PathIn(bundle),
      json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", 0600,
      Durability::kProcess);  // no process outlives the machine
}

absl::StatusOr<TaskRecord> ReadTaskRecord(const std::string& bundle) {
  const std::string path = PathIn(bundle);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxBytes));
  const Json json = Json::parse(text, nullptr, false);
  const absl::Status damaged =
      absl::DataLossError(absl::StrCat(path, " is damaged"));
  if (!json.is_object()) return damaged;
  const auto id = json.find("id");
  const auto pid = json.find("pid");
  const auto start_time = json.find("startTime");
  const auto cgroup = json.find("cgroup");
  const auto made = json.find("madeCgroups");
  if (json.value("version", Json()) != kVersion || id == json.end() ||
      !id->is_string() || pid == json.end() || !pid->is_number_unsigned() ||
      start_time == json.end() || !start_time->is_number_unsigned() ||
      cgroup == json.end() || !cgroup->is_string() || made == json.end() ||
      !made->is_array()) {
    return damaged;
  }
  TaskRecord record;
  record.id = id->get<std::string>();
  record.pid = pid->get<pid_t>();
  record.start_time = start_time->get<uint64_t>();
  record.cgroup = cgroup->get<std::string>();
  for (const Json& directory : *made) {
    if (!directory.is_string()) return damaged;
    record.made_cgroups.push_back(directory.get<std::string>());
  }
  return record;
}

absl::Status RemoveTaskRecord(const std::string& bundle) {
  return RemovePath(PathIn(bundle));
}

}  // namespace serai::shim
