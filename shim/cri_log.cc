// SPDX-License-Identifier: Apache-2.0
#include "shim/cri_log.h"

#include <algorithm>
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

}  // namespace

absl::StatusOr<std::unique_ptr<CriLog>> CriLog::Open(std::string path) {
  ASSIGN_OR_RETURN(LogFile file, LogFile::Open(std::move(path), kMode));
  return std::unique_ptr<CriLog>(new CriLog(std::move(file)));
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
    const int error = file_.Append(records, written);
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
  if (file_.Append(record, written) != 0) return false;
  unreported_ = 0;
  return true;
}

}  // namespace serai::shim
