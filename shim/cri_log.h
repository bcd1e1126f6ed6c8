// SPDX-License-Identifier: Apache-2.0
#pragma once

// A container's log in the format that the kubelet reads (KEP "CRI log
// format"):
//
//   2026-01-02T03:04:05.123456789Z stdout F a line
//
// with P instead of F for a piece of a line whose rest follows. The shim's loop
// is its only user, and the shim the file's only writer.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "shim/log_file.h"
#include "shim/output.h"

namespace serai::shim {

class CriLog : public OutputSink {
 public:
  // The longest text of one record; a longer line is split.
  static constexpr size_t kMaxText = 16 * 1024;

  // Opens, or makes with mode 0640, the file and appends to it.
  // INVALID_ARGUMENT when it is something other than a regular file.
  static absl::StatusOr<std::unique_ptr<CriLog>> Open(std::string path);

  // Takes in what a process wrote. Whole lines are in the file on return; the
  // rest waits for its end. When the disk is full, lines are lost and counted;
  // how many is said in the log as soon as it can be written again. A record is
  // never cut.
  void Append(LogStream stream, absl::string_view bytes) override;

  // Writes the unfinished lines, as P: no more will come.
  void Finish() override;

  // Opens the path anew, for the file there was renamed. On failure the old
  // file stays in use and no new one is made.
  absl::Status Reopen() override { return file_.Reopen(); }

  absl::Status Discard() override { return file_.Discard(); }

  // Lines lost since Open().
  uint64_t dropped() const override { return dropped_; }

  // Whether Open() made the file.
  bool made_file() const { return file_.made(); }
  const std::string& path() const { return file_.path(); }

 private:
  explicit CriLog(LogFile file) : file_(std::move(file)) {}

  // Writes whole records, all or a leading part, counts the others.
  void Write(absl::string_view records);
  // Whether what was lost is said, or nothing was lost.
  bool ReportLost();

  LogFile file_;
  std::array<std::string, 2> unfinished_;  // by stream, < kMaxText each
  uint64_t dropped_ = 0;
  uint64_t unreported_ = 0;
  int lost_error_ = 0;
};

}  // namespace serai::shim
