// SPDX-License-Identifier: Apache-2.0
#include "shim/cri_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace serai::shim {
namespace {

constexpr mode_t kMode = 0640;

absl::string_view Name(LogStream stream) {
  return stream == LogStream::kStdout ? "stdout" : "stderr";
}

std::string Timestamp() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", absl::Now(),
                          absl::UTCTimeZone());
}

void AppendRecord(std::string& out, absl::string_view timestamp,
                  LogStream stream, char tag, absl::string_view text) {
  absl::StrAppend(&out, timestamp, " ", Name(stream), " ",
                  absl::string_view(&tag, 1), " ", text, "\n");
}

// O_NONBLOCK: the open of a FIFO must not hang.
absl::StatusOr<UniqueFd> OpenLogFile(const std::string& path, bool& made) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK;
  made = false;
  UniqueFd fd(::open(path.c_str(), kFlags));
  if (!fd.valid() && errno == ENOENT) {
    fd.reset(::open(path.c_str(), kFlags | O_CREAT | O_EXCL, kMode));
    made = fd.valid();
  }
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open log ", path));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat log ", path));
  }
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("log ", path, " is not a regular file"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CriLog>> CriLog::Open(std::string path) {
  bool made = false;
  ASSIGN_OR_RETURN(UniqueFd fd, OpenLogFile(path, made));
  return std::unique_ptr<CriLog>(
      new CriLog(std::move(path), std::move(fd), made));
}

absl::Status CriLog::Reopen() {
  bool made = false;
  ASSIGN_OR_RETURN(fd_, OpenLogFile(path_, made));
  return absl::OkStatus();
}

void CriLog::Append(LogStream stream, absl::string_view bytes) {
  std::string& unfinished = unfinished_[stream == LogStream::kStdout ? 0 : 1];
  const std::string timestamp = Timestamp();
  std::string records;
  while (!bytes.empty()) {
    const size_t room = kMaxText - unfinished.size();
    const size_t newline = bytes.substr(0, room + 1).find('\n');
    const bool full = newline != absl::string_view::npos;
    if (!full && bytes.size() < room) {
      unfinished.append(bytes.data(), bytes.size());
      break;
    }
    const size_t taken = full ? newline : room;
    unfinished.append(bytes.data(), taken);
    AppendRecord(records, timestamp, stream, full ? 'F' : 'P', unfinished);
    unfinished.clear();
    bytes.remove_prefix(full ? taken + 1 : taken);
  }
  if (unfinished.empty()) unfinished.shrink_to_fit();
  Write(records);
}

void CriLog::Finish() {
  std::string records;
  for (const LogStream stream : {LogStream::kStdout, LogStream::kStderr}) {
    std::string& unfinished = unfinished_[stream == LogStream::kStdout ? 0 : 1];
    if (unfinished.empty()) continue;
    AppendRecord(records, Timestamp(), stream, 'P', unfinished);
    unfinished.clear();
  }
  Write(records);
}

void CriLog::Write(absl::string_view records) {
  if (records.empty()) return;
  size_t written = 0;
  if (ReportLost()) {
    const int error = WriteRecords(records, written);
    if (error != 0) lost_error_ = error;
  }
  const auto lost = static_cast<uint64_t>(std::count(
      records.begin() + static_cast<ptrdiff_t>(written), records.end(), '\n'));
  dropped_ += lost;
  unreported_ += lost;
}

bool CriLog::ReportLost() {
  if (unreported_ == 0) return true;
  std::string record;
  AppendRecord(record, Timestamp(), LogStream::kStderr, 'F',
               absl::StrCat("serai: ", unreported_, " log lines were lost: ",
                            std::strerror(lost_error_)));
  size_t written = 0;
  if (WriteRecords(record, written) != 0) return false;
  unreported_ = 0;
  return true;
}

int CriLog::WriteRecords(absl::string_view records, size_t& written) {
  written = 0;
  while (written < records.size()) {
    const ssize_t n =
        ::write(fd_.get(), records.data() + written, records.size() - written);
    if (n >= 0) {
      written += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    const int error = errno;
    // The record that did not fit is taken out again.
    const size_t newline = records.substr(0, written).rfind('\n');
    const size_t whole =
        written == 0 || newline == absl::string_view::npos ? 0 : newline + 1;
    struct stat st = {};
    if (whole != written && ::fstat(fd_.get(), &st) == 0) {
      const off_t size = st.st_size - static_cast<off_t>(written - whole);
      // If that fails too, there is a cut record: nothing is left to try.
      if (::ftruncate(fd_.get(), size) != 0) errno = error;
    }
    written = whole;
    return error;
  }
  return 0;
}

}  // namespace serai::shim
