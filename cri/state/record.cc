// SPDX-License-Identifier: Apache-2.0
#include "cri/state/record.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "lib/base/file.h"

namespace serai::cri {
namespace {

// A pod's annotations, by far the largest part, are at most 256 KiB.
constexpr size_t kMaxRecordBytes = 8 << 20;
// More is read than is written: one that another build wrote is not damaged.
constexpr size_t kMaxReadBytes = 4 * kMaxRecordBytes;

template <typename Record>
absl::Status Load(const std::string& path, Record& record) {
  ASSIGN_OR_RETURN(const std::string json, ReadRecordFile(path));
  return Annotate(ParseRecord(json, record), absl::StrCat("reading ", path));
}

}  // namespace

absl::Status SaveRecord(const std::string& path,
                        const google::protobuf::Message& message,
                        Durability durability) {
  ASSIGN_OR_RETURN(const std::string json, FormatRecord(message), "writing ",
                   path);
  if (json.size() > kMaxRecordBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("writing ", path, ": its ", json.size(),
                     " bytes, mostly of the configuration, are more than ",
                     kMaxRecordBytes));
  }
  return WriteFileAtomic(path, json, 0600, durability);
}

absl::StatusOr<std::string> ReadRecordFile(const std::string& path) {
  // A pipe without a writer would hold us up.
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_NONBLOCK));
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("fstat ", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::DataLossError(absl::StrCat(path, " is not a regular file"));
  }
  ASSIGN_OR_RETURN(std::string text, ReadAll(fd.get(), kMaxReadBytes),
                   "reading ", path);
  return text;
}

absl::Status LoadRecord(const std::string& path, PodRecord& record) {
  return Load(path, record);
}

absl::Status LoadRecord(const std::string& path, ContainerRecord& record) {
  return Load(path, record);
}

absl::Status LoadRecord(const std::string& path,
                        state::v1::ViewRecord& record) {
  return Load(path, record);
}

absl::Status LoadRecord(const std::string& path,
                        state::v1::PodCheckpoint& record) {
  return Load(path, record);
}

}  // namespace serai::cri
