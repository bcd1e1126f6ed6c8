// SPDX-License-Identifier: Apache-2.0
#pragma once

// file:///path, or the bare path of a file: both streams in one file, as they
// come. On a full disk lines are lost and counted; how many is said in the file
// as soon as it can be written again.

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "shim/log_file.h"
#include "shim/lost_lines.h"
#include "shim/output.h"

namespace serai::shim {

class FileOutput : public OutputSink {
 public:
  // Appends to the file; makes it (0644) and its directories (0755) where they
  // are missing, as containerd's own shim does.
  static absl::StatusOr<std::unique_ptr<OutputSink>> Open(std::string path);

  void Append(LogStream stream, absl::string_view bytes) override;
  void Finish() override { ReportLost(); }
  absl::Status Reopen() override;
  absl::Status Discard() override { return file_.Discard(); }
  uint64_t dropped() const override {
    return lost_[0].total() + lost_[1].total();
  }

 private:
  explicit FileOutput(LogFile file) : file_(std::move(file)) {}
  // Whether what was lost is said, or nothing was lost.
  bool ReportLost();

  LogFile file_;
  std::array<LostLines, 2> lost_;  // by stream
  bool mid_line_ = false;          // the file does not end with a newline
  int lost_error_ = 0;
};

}  // namespace serai::shim
