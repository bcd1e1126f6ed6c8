// SPDX-License-Identifier: Apache-2.0
#include "shim/file_output.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"

namespace serai::shim {
namespace {

constexpr mode_t kMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

}  // namespace

absl::StatusOr<std::unique_ptr<OutputSink>> FileOutput::Open(std::string path) {
  const size_t slash = path.rfind('/');
  if (slash != 0 && slash != std::string::npos) {
    RETURN_IF_ERROR(MakeDirs(path.substr(0, slash), kDirectoryMode));
  }
  ASSIGN_OR_RETURN(LogFile file, LogFile::Open(std::move(path), kMode));
  return std::unique_ptr<OutputSink>(new FileOutput(std::move(file)));
}

void FileOutput::Append(LogStream stream, absl::string_view bytes) {
  LostLines& lost = lost_[stream == LogStream::kStdout ? 0 : 1];
  if (!ReportLost()) return lost.Lose(bytes);
  bytes = lost.AfterLost(bytes);
  if (bytes.empty()) return;
  size_t written = 0;
  const int error = file_.Append(bytes, written);
  if (written != 0) mid_line_ = bytes[written - 1] != '\n';
  if (error == 0) return;
  lost_error_ = error;
  lost.Lose(bytes.substr(written));
}

absl::Status FileOutput::Reopen() {
  RETURN_IF_ERROR(file_.Reopen());
  mid_line_ = false;
  return absl::OkStatus();
}

bool FileOutput::ReportLost() {
  const uint64_t lines = lost_[0].unreported() + lost_[1].unreported();
  if (lines == 0) return true;
  const std::string report = absl::StrCat(
      mid_line_ ? "\n" : "", LossReport(lines, std::strerror(lost_error_)));
  size_t written = 0;
  if (file_.Append(report, written) != 0) {
    // The newline alone may have fitted.
    if (written != 0) mid_line_ = false;
    return false;
  }
  mid_line_ = false;
  for (LostLines& lost : lost_) lost.SetReported();
  return true;
}

}  // namespace serai::shim
