// SPDX-License-Identifier: Apache-2.0
#include "cni/record.h"

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "cni/json.h"
#include "cni/plugin.h"
#include "lib/base/file.h"

namespace serai::cni {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr char kSuffix[] = ".json";
// A configuration and a result may be as long as kMaxJsonBytes each; together
// they must be that.
constexpr size_t kMaxRecordBytes = kMaxJsonBytes;
// Room for the record's own levels around them.
constexpr size_t kMaxRecordDepth = kMaxJsonDepth + 4;

json ToJson(const Attachment& attachment) {
  json ports = json::array();
  for (const PortMapping& mapping : attachment.port_mappings) {
    ports.push_back({{"hostPort", mapping.host_port},
                     {"containerPort", mapping.container_port},
                     {"protocol", mapping.protocol},
                     {"hostIP", mapping.host_ip}});
  }
  return {{"containerId", attachment.container_id},
          {"netns", attachment.netns},
          {"interface", attachment.interface_name},
          {"podName", attachment.pod_name},
          {"podNamespace", attachment.pod_namespace},
          {"podUid", attachment.pod_uid},
          {"portMappings", std::move(ports)}};
}

absl::StatusOr<int> PortField(const json& object, absl::string_view key) {
  const json& member = Member(object, key);
  if (!member.is_number_integer() || member < 0 || member > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\" is no port number"));
  }
  return member.get<int>();
}

absl::StatusOr<PortMapping> ReadPortMapping(const json& object) {
  PortMapping mapping;
  ASSIGN_OR_RETURN(mapping.host_port, PortField(object, "hostPort"));
  ASSIGN_OR_RETURN(mapping.container_port, PortField(object, "containerPort"));
  ASSIGN_OR_RETURN(mapping.protocol, StringField(object, "protocol"));
  ASSIGN_OR_RETURN(mapping.host_ip, StringField(object, "hostIP"));
  return mapping;
}

absl::StatusOr<Attachment> ReadAttachment(const json& object) {
  Attachment attachment;
  const json& netns = Member(object, "netns");
  if (!netns.is_string()) {
    return absl::InvalidArgumentError("\"netns\" is not a string");
  }
  attachment.netns = netns.get<std::string>();
  ASSIGN_OR_RETURN(attachment.container_id, StringField(object, "containerId"));
  ASSIGN_OR_RETURN(attachment.interface_name, StringField(object, "interface"));
  ASSIGN_OR_RETURN(attachment.pod_name, StringField(object, "podName"));
  ASSIGN_OR_RETURN(attachment.pod_namespace,
                   StringField(object, "podNamespace"));
  ASSIGN_OR_RETURN(attachment.pod_uid, StringField(object, "podUid"));
  const json& ports = Member(object, "portMappings");
  if (!ports.is_array()) {
    return absl::InvalidArgumentError("\"portMappings\" is not a list");
  }
  for (const json& element : ports) {
    ASSIGN_OR_RETURN(PortMapping mapping, ReadPortMapping(element));
    attachment.port_mappings.push_back(std::move(mapping));
  }
  RETURN_IF_ERROR(Validate(attachment));
  return attachment;
}

absl::StatusOr<Record> LoadFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxRecordBytes);
  if (absl::IsResourceExhausted(text.status())) {
    return absl::DataLossError(text.status().message());
  }
  RETURN_IF_ERROR(text.status());
  absl::StatusOr<Record> record = ParseRecord(*text);
  if (!record.ok()) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", record.status().message()));
  }
  return record;
}

}  // namespace

absl::StatusOr<Record> ParseRecord(absl::string_view text) {
  ASSIGN_OR_RETURN(const json object, ParseJson(text, kMaxRecordDepth));
  if (Member(object, "version") != kVersion) {
    return absl::InvalidArgumentError("not a record of version 1");
  }
  Record record;
  ASSIGN_OR_RETURN(record.attachment,
                   ReadAttachment(Member(object, "attachment")), "attachment");
  ASSIGN_OR_RETURN(record.network,
                   NetworkConfigFromJson(Member(object, "network")), "network");
  record.result = Member(object, "result");
  return record;
}

std::string SerializeRecord(const Record& record) {
  json object = {{"version", kVersion},
                 {"attachment", ToJson(record.attachment)},
                 {"network", ToJson(record.network)}};
  if (!record.result.is_null()) object["result"] = record.result;
  return Dump(object);
}

std::string RecordStore::PathOf(absl::string_view container_id,
                                absl::string_view interface_name) const {
  return JoinPath(dir_,
                  absl::StrCat(container_id, "@", interface_name, kSuffix));
}

absl::Status RecordStore::Save(const Record& record) const {
  const std::string text = SerializeRecord(record);
  if (text.size() > kMaxRecordBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the record of ", record.attachment.container_id,
                     " is longer than ", kMaxRecordBytes, " bytes"));
  }
  RETURN_IF_ERROR(MakeDirs(dir_));
  // Not synced: the leases and rules this is about are not either.
  return WriteFileAtomic(
      PathOf(record.attachment.container_id, record.attachment.interface_name),
      text, 0600, Durability::kProcess);
}

absl::StatusOr<Record> RecordStore::Load(
    const std::string& container_id, const std::string& interface_name) const {
  // Also keeps a hostile id from being part of a path.
  Attachment named;
  named.container_id = container_id;
  named.interface_name = interface_name;
  if (!Validate(named).ok()) {
    return absl::NotFoundError("no such attachment");
  }
  return LoadFile(PathOf(container_id, interface_name));
}

absl::Status RecordStore::Remove(const Attachment& attachment) const {
  return RemovePath(PathOf(attachment.container_id, attachment.interface_name));
}

absl::Status RecordStore::PutAside(const Attachment& attachment) const {
  const std::string path =
      PathOf(attachment.container_id, attachment.interface_name);
  if (std::rename(path.c_str(), absl::StrCat(path, ".unreadable").c_str()) !=
      0) {
    return ErrnoStatus(errno, absl::StrCat("renaming ", path));
  }
  return absl::OkStatus();
}

std::string RecordStore::LockPathOf(const Attachment& attachment) const {
  return JoinPath(dir_, absl::StrCat(attachment.container_id, "@",
                                     attachment.interface_name, ".lock"));
}

absl::Status RecordStore::RemoveLeftovers() const {
  const absl::StatusOr<std::vector<std::string>> names = ListDir(dir_);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  RETURN_IF_ERROR(names.status());
  absl::Status status;
  for (const std::string& name : *names) {
    if (!absl::StrContains(name, ".json.tmp.")) continue;
    status = FirstError(status, RemovePath(JoinPath(dir_, name)));
  }
  return status;
}

absl::StatusOr<std::vector<Record>> RecordStore::List() const {
  std::vector<Record> records;
  const absl::StatusOr<std::vector<std::string>> names = ListDir(dir_);
  if (absl::IsNotFound(names.status())) return records;
  RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, kSuffix)) continue;
    absl::StatusOr<Record> record = LoadFile(JoinPath(dir_, name));
    if (record.ok()) records.push_back(*std::move(record));
  }
  return records;
}

}  // namespace serai::cni
