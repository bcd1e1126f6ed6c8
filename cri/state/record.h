// SPDX-License-Identifier: Apache-2.0
#pragma once

// A record: one protobuf message that lives in memory and in one JSON file, and
// changes in both at once. Thread-safe; readers share what is, and wait for
// nobody: not for a change, nor for its file.
//
// The file is replaced atomically and not synced: a record has to survive the
// daemon, not the machine, whose namespaces, cgroups and processes are gone
// with it. A record that a power failure made unreadable is refused by
// LoadRecord().

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "cri/state/format.h"
#include "lib/base/file.h"
#include "lib/base/status.h"

namespace serai::cri {

// Writes a message as JSON, mode 0600. INVALID_ARGUMENT for one that is longer
// than any should be.
absl::Status SaveRecord(const std::string& path,
                        const google::protobuf::Message& message,
                        Durability durability = Durability::kProcess);

// Reads one; errors as ParseRecord() has them, DATA_LOSS also for what is no
// file, and the file's.
absl::Status LoadRecord(const std::string& path, PodRecord& record);
absl::Status LoadRecord(const std::string& path, ContainerRecord& record);
absl::Status LoadRecord(const std::string& path, state::v1::ViewRecord& record);
absl::Status LoadRecord(const std::string& path,
                        state::v1::PodCheckpoint& record);
absl::StatusOr<std::string> ReadRecordFile(const std::string& path);

template <typename Message>
class Record {
 public:
  Record(std::string path, Message message)
      : path_(std::move(path)),
        message_(std::make_shared<const Message>(std::move(message))) {}

  // The message as it is now; it does not change under the reader.
  std::shared_ptr<const Message> Read() const {
    absl::MutexLock lock(&mutex_);
    return message_;
  }

  // A copy: with its configuration it can be large. Read() is for who looks.
  Message Get() const { return *Read(); }

  // Changes a copy, writes it, and takes it over when it is written. On an
  // error nothing has changed. NOT_FOUND once the record is erased: nothing
  // brings its file back.
  absl::Status Change(absl::FunctionRef<void(Message&)> change) {
    absl::MutexLock lock(&changing_);
    auto changed = std::make_shared<Message>(*Read());
    change(*changed);
    RETURN_IF_ERROR(Write(*changed));
    Publish(std::move(changed));
    return absl::OkStatus();
  }

  // Changes memory also where the file can't be written: for facts, such as
  // that a guest has ended, which are true whether the disk is full or not.
  absl::Status ChangeAlways(absl::FunctionRef<void(Message&)> change) {
    absl::MutexLock lock(&changing_);
    auto changed = std::make_shared<Message>(*Read());
    change(*changed);
    Publish(changed);
    return Write(*changed);
  }

  // Writes the file for the first time.
  absl::Status Save() {
    absl::MutexLock lock(&changing_);
    return Write(*Read());
  }

  // Removes the file; one that is not there is success.
  absl::Status Erase() {
    absl::MutexLock lock(&changing_);
    RETURN_IF_ERROR(RemovePath(path_));
    erased_ = true;
    return absl::OkStatus();
  }

 private:
  absl::Status Write(const Message& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(changing_) {
    if (erased_) return absl::NotFoundError(absl::StrCat(path_, " is erased"));
    return SaveRecord(path_, message);
  }

  void Publish(std::shared_ptr<const Message> message) {
    absl::MutexLock lock(&mutex_);
    message_ = std::move(message);
  }

  const std::string path_;
  // Held through a change and the writing of its file. Taken before `mutex_`,
  // which is held for the copy of a pointer.
  absl::Mutex changing_;
  bool erased_ ABSL_GUARDED_BY(changing_) = false;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const Message> message_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
