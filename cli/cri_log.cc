// SPDX-License-Identifier: Apache-2.0
#include "cli/cri_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"

namespace serai::cli {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr size_t kMaxPending = 64 << 10;

struct LogLine {
  absl::string_view time;
  absl::string_view text;
  bool partial = false;
};

// The text up to the next space, which is taken off with it.
absl::string_view Word(absl::string_view& rest) {
  const size_t space = std::min(rest.find(' '), rest.size());
  const absl::string_view word = rest.substr(0, space);
  rest.remove_prefix(std::min(space + 1, rest.size()));
  return word;
}

std::optional<LogLine> ParseLine(absl::string_view line) {
  LogLine parsed;
  parsed.time = Word(line);
  const absl::string_view stream = Word(line);
  const absl::string_view tags = Word(line);
  const absl::string_view first = tags.substr(0, tags.find(':'));
  if ((stream != "stdout" && stream != "stderr") ||
      (first != "P" && first != "F")) {
    return std::nullopt;
  }
  parsed.partial = first == "P";
  parsed.text = line;
  return parsed;
}

// Reads the next piece at the file's position; empty at its end.
absl::StatusOr<absl::string_view> ReadPiece(int fd, std::vector<char>& buffer) {
  buffer.resize(kChunk);
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n >= 0) {
      return absl::string_view(buffer.data(), static_cast<size_t>(n));
    }
    if (errno != EINTR) return ErrnoStatus(errno, "reading the log");
  }
}

// Remembers where the last `count` whole (joined) lines start.
class TailFinder {
 public:
  explicit TailFinder(size_t count) : count_(count) { starts_.push_back(0); }

  void Feed(absl::string_view bytes) {
    for (const char c : bytes) {
      ++offset_;
      if (c != '\n') {
        if (head_.size() < kHead) head_ += c;
        continue;
      }
      const auto line = ParseLine(head_);
      if (!line.has_value() || !line->partial) Start();
      head_.clear();
    }
  }

  // The newest start begins a line that is still to come, unless something of
  // it is there.
  off_t Offset() const {
    const bool unfinished = offset_ > starts_.back();
    const size_t lines = starts_.size() - (unfinished ? 0 : 1);
    if (count_ == 0) return offset_;
    return starts_[lines > count_ ? lines - count_ : 0];
  }

 private:
  // Time, stream and tag are in the first of a line's bytes.
  static constexpr size_t kHead = 64;

  void Start() {
    starts_.push_back(offset_);
    if (starts_.size() > count_ + 1) starts_.pop_front();
  }

  const size_t count_;
  std::deque<off_t> starts_;
  off_t offset_ = 0;
  std::string head_;
};

absl::Status SeekToTail(int fd, int64_t lines) {
  TailFinder finder(static_cast<size_t>(lines));
  std::vector<char> buffer;
  for (;;) {
    ASSIGN_OR_RETURN(const absl::string_view piece, ReadPiece(fd, buffer));
    if (piece.empty()) break;
    finder.Feed(piece);
  }
  if (::lseek(fd, finder.Offset(), SEEK_SET) < 0) {
    return ErrnoStatus(errno, "seeking in the log");
  }
  return absl::OkStatus();
}

absl::Status Drain(int fd, LogPrinter& printer, std::ostream& out) {
  std::vector<char> buffer;
  while (out.good()) {
    ASSIGN_OR_RETURN(const absl::string_view piece, ReadPiece(fd, buffer));
    if (piece.empty()) break;
    printer.Feed(piece);
  }
  out.flush();
  return absl::OkStatus();
}

// Whether `path` now names another file than `fd`.
bool Rotated(int fd, const std::string& path) {
  struct stat open = {};
  struct stat named = {};
  if (::fstat(fd, &open) != 0 || ::stat(path.c_str(), &named) != 0) {
    return false;
  }
  return open.st_ino != named.st_ino || open.st_dev != named.st_dev;
}

absl::StatusOr<UniqueFd> OpenLog(const std::string& path,
                                 const LogOptions& options) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_NONBLOCK));
  if (options.tail.has_value()) {
    RETURN_IF_ERROR(SeekToTail(fd.get(), *options.tail));
  }
  return fd;
}

}  // namespace

void LogPrinter::Feed(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    if (newline == absl::string_view::npos) {
      pending_.append(bytes.data(), bytes.size());
      // No writer of this format makes such lines.
      if (pending_.size() > kMaxPending) Finish();
      return;
    }
    if (pending_.empty()) {
      Line(bytes.substr(0, newline));
    } else {
      pending_.append(bytes.data(), newline);
      Line(pending_);
      pending_.clear();
    }
    bytes.remove_prefix(newline + 1);
  }
}

void LogPrinter::Finish() {
  if (!pending_.empty()) Line(pending_);
  pending_.clear();
  if (in_line_) out_ << '\n';
  in_line_ = false;
}

void LogPrinter::Line(absl::string_view line) {
  const std::optional<LogLine> parsed = ParseLine(line);
  if (!parsed.has_value()) {
    if (in_line_) out_ << '\n';
    in_line_ = false;
    out_ << line << '\n';
    return;
  }
  if (timestamps_ && !in_line_) out_ << parsed->time << ' ';
  out_ << parsed->text;
  if (!parsed->partial) out_ << '\n';
  in_line_ = parsed->partial;
}

absl::Status PrintLog(const std::string& path, const LogOptions& options,
                      std::ostream& out) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenLog(path, options));
  LogPrinter printer(out, options.timestamps);
  RETURN_IF_ERROR(Drain(fd.get(), printer, out));
  printer.Finish();
  return absl::OkStatus();
}

absl::Status FollowLog(const std::string& path, const LogOptions& options,
                       std::ostream& out, const LogEnded& ended) {
  const absl::Duration pause = absl::Milliseconds(100);
  LogPrinter printer(out, options.timestamps);
  UniqueFd fd;
  bool complete = false;
  while (out.good()) {
    if (!fd.valid()) {
      absl::StatusOr<UniqueFd> opened = OpenLog(path, options);
      if (!opened.ok() && !absl::IsNotFound(opened.status())) {
        return opened.status();
      }
      if (opened.ok()) fd = *std::move(opened);
    }
    if (fd.valid()) {
      const bool rotated = Rotated(fd.get(), path);
      RETURN_IF_ERROR(Drain(fd.get(), printer, out));
      if (rotated) {
        // Nothing is written to the old file once the new one is there.
        ASSIGN_OR_RETURN(fd, OpenLog(path, {}));
        continue;
      }
    }
    if (complete) break;
    ASSIGN_OR_RETURN(complete, ended());
    if (!complete) absl::SleepFor(pause);
  }
  printer.Finish();
  return absl::OkStatus();
}

}  // namespace serai::cli
