// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is remembered of an attachment from before its ADD to after its DEL: the
// configuration used and the result. One JSON file each, named
// <container id>@<interface>.json, {"version": 1, "attachment", "network" (a
// configuration list), "result" (of the plugins so far)}. Any thread.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cni/config.h"
#include "cni/network.h"
#include "lib/base/status.h"

namespace serai::cni {

struct Record {
  Attachment attachment;
  NetworkConfig network;
  nlohmann::json result;  // the last plugin's; null: none has answered yet
};

class RecordStore {
 public:
  explicit RecordStore(std::string dir) : dir_(std::move(dir)) {}

  // A crash of the program leaves the old record or the new one.
  absl::Status Save(const Record& record) const;
  // NOT_FOUND when there is none, DATA_LOSS when it can't be understood.
  absl::StatusOr<Record> Load(const std::string& container_id,
                              const std::string& interface_name) const;
  absl::Status Remove(const Attachment& attachment) const;
  // Renames it to <name>.unreadable, which no call here looks at.
  absl::Status PutAside(const Attachment& attachment) const;
  // Where the attachment's RunLock is.
  std::string LockPathOf(const Attachment& attachment) const;
  // Removes what a crash left of the writing of records.
  absl::Status RemoveLeftovers() const;
  // Those that can be read.
  absl::StatusOr<std::vector<Record>> List() const;

 private:
  std::string PathOf(absl::string_view container_id,
                     absl::string_view interface_name) const;

  const std::string dir_;
};

// The record in a file's content. INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
absl::StatusOr<Record> ParseRecord(absl::string_view text);
std::string SerializeRecord(const Record& record);

}  // namespace serai::cni
