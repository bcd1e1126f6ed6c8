// SPDX-License-Identifier: Apache-2.0
#pragma once

// A record: one protobuf message that lives in memory and in one JSON file, and
// changes in both at once. Thread-safe; readers get copies and never wait for
// more than a file's writing.
//
// The file is replaced atomically and not synced: a record has to survive the
// daemon, not the machine, whose namespaces, cgroups and processes are gone
// with it. A record that a power failure made unreadable is refused by
// LoadRecord().

#include <google/protobuf/message.h>

#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/file.h"
#include "lib/base/status.h"

namespace serai::cri {

// The version that this build writes, and the only one it reads.
inline constexpr uint32_t kRecordVersion = 1;

// Writes a message as JSON, mode 0600.
absl::Status SaveRecord(const std::string& path,
                        const google::protobuf::Message& message);

// Reads it. DATA_LOSS for what is no such message.
absl::Status LoadRecord(const std::string& path,
                        google::protobuf::Message& message);

template <typename Message>
class Record {
 public:
  Record(std::string path, Message message)
      : path_(std::move(path)), message_(std::move(message)) {}

  Message Get() const {
    absl::MutexLock lock(&mutex_);
    return message_;
  }

  // Changes a copy, writes it, and takes it over when it is written. On an
  // error nothing has changed.
  absl::Status Change(absl::FunctionRef<void(Message&)> change) {
    absl::MutexLock lock(&mutex_);
    Message copy = message_;
    change(copy);
    RETURN_IF_ERROR(SaveRecord(path_, copy));
    message_ = std::move(copy);
    return absl::OkStatus();
  }

  // Changes memory also where the file can't be written: for facts, such as
  // that a guest has ended, which are true whether the disk is full or not.
  absl::Status ChangeAlways(absl::FunctionRef<void(Message&)> change) {
    absl::MutexLock lock(&mutex_);
    change(message_);
    return SaveRecord(path_, message_);
  }

  // Writes the file for the first time.
  absl::Status Save() const {
    absl::MutexLock lock(&mutex_);
    return SaveRecord(path_, message_);
  }

  // Removes the file; one that is not there is success.
  absl::Status Erase() const { return RemovePath(path_); }

 private:
  const std::string path_;
  mutable absl::Mutex mutex_;
  Message message_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
