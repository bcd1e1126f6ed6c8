// SPDX-License-Identifier: Apache-2.0
#include "shim/output.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "shim/binary_logger.h"
#include "shim/cri_log.h"
#include "shim/fifo_output.h"
#include "shim/file_output.h"

namespace serai::shim {
namespace {

using Sink = std::unique_ptr<OutputSink>;

// One output for each stream, or none.
class SplitOutput : public OutputSink {
 public:
  SplitOutput(Sink output, Sink error_output)
      : sinks_{std::move(output), std::move(error_output)} {}

  void Append(LogStream stream, absl::string_view bytes) override {
    const Sink& sink = sinks_[stream == LogStream::kStdout ? 0 : 1];
    if (sink) sink->Append(stream, bytes);
  }
  void Finish() override {
    for (const Sink& sink : sinks_) {
      if (sink) sink->Finish();
    }
  }
  absl::Status Reopen() override {
    for (const Sink& sink : sinks_) {
      if (sink) RETURN_IF_ERROR(sink->Reopen());
    }
    return absl::OkStatus();
  }
  absl::Status Discard() override {
    absl::Status status;
    for (const Sink& sink : sinks_) {
      if (sink) status.Update(sink->Discard());
    }
    return status;
  }
  uint64_t dropped() const override {
    uint64_t dropped = 0;
    for (const Sink& sink : sinks_) dropped += sink ? sink->dropped() : 0;
    return dropped;
  }

 private:
  const std::array<Sink, 2> sinks_;
};

// What containerd writes into a URI's path and query: %XX, and in a query + for
// a space. False for what can't be meant: a % without digits, a null byte.
bool Unescape(absl::string_view text, bool query, std::string& result) {
  result.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const absl::string_view digits = text.substr(i + 1, 2);
      uint32_t byte = 0;
      if (digits.size() != 2 ||
          !absl::ascii_isxdigit(static_cast<unsigned char>(digits[0])) ||
          !absl::ascii_isxdigit(static_cast<unsigned char>(digits[1])) ||
          !absl::SimpleHexAtoi(digits, &byte)) {
        return false;
      }
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += query && text[i] == '+' ? ' ' : text[i];
    }
  }
  return result.find('\0') == std::string::npos;
}

struct Uri {
  std::string scheme;
  std::string path;                // absolute
  std::vector<std::string> query;  // key, value, key, value, …
};

absl::Status NotAnOutput(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text,
                   "\" is no output: a path, file:///path, binary:///path and "
                   "cri:///path are"));
}

absl::StatusOr<Uri> ParseUri(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits("://", 1));
  const std::pair<absl::string_view, absl::string_view> rest =
      absl::StrSplit(parts.second, absl::MaxSplits('?', 1));
  Uri uri;
  uri.scheme = std::string(parts.first.data(), parts.first.size());
  if (!absl::StartsWith(rest.first, "/") ||
      !Unescape(rest.first, false, uri.path)) {
    return NotAnOutput(text);
  }
  for (const absl::string_view pair :
       absl::StrSplit(rest.second, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    for (const absl::string_view word : {words.first, words.second}) {
      uri.query.emplace_back();
      if (!Unescape(word, true, uri.query.back())) return NotAnOutput(text);
    }
  }
  return uri;
}

absl::StatusOr<Sink> OpenPath(EventLoop& loop, const std::string& path,
                              bool terminal) {
  if (!absl::StartsWith(path, "/")) return NotAnOutput(path);
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0) {
    // NOT_FOUND would say that the task is unknown.
    return absl::FailedPreconditionError(
        ErrnoStatus(errno, absl::StrCat("output ", path)).message());
  }
  if (S_ISFIFO(st.st_mode)) return FifoOutput::Open(loop, path, terminal);
  return FileOutput::Open(path);
}

absl::StatusOr<Sink> OpenUri(EventLoop& loop, const std::string& text,
                             const std::string& id, absl::string_view ns) {
  absl::string_view path = text;
  // seraid's, not escaped.
  if (absl::ConsumePrefix(&path, "cri://")) {
    if (!absl::StartsWith(path, "/")) return NotAnOutput(text);
    return CriLog::Open(std::string(path.data(), path.size()));
  }
  ASSIGN_OR_RETURN(Uri uri, ParseUri(text));
  if (uri.scheme == "file") return FileOutput::Open(std::move(uri.path));
  if (uri.scheme == "binary" || uri.scheme == "binary-v2") {
    return BinaryLogger::Start(loop,
                               {.program = std::move(uri.path),
                                .args = std::move(uri.query),
                                .container_id = id,
                                .ns = std::string(ns.data(), ns.size()),
                                .must_say_ready = uri.scheme == "binary-v2"});
  }
  return NotAnOutput(text);
}

}  // namespace

absl::StatusOr<Sink> OpenOutput(EventLoop& loop,
                                const task::CreateTaskRequest& request,
                                absl::string_view ns) {
  const std::string& out = request.stdout();
  // A terminal is one stream; containerd names a stderr all the same, and makes
  // none.
  const std::string& err =
      request.terminal() ? std::string() : request.stderr();
  const auto open = [&](const std::string& text) -> absl::StatusOr<Sink> {
    if (text.empty()) return nullptr;
    return absl::StrContains(text, "://")
               ? OpenUri(loop, text, request.id(), ns)
               : OpenPath(loop, text, request.terminal());
  };
  const bool uri = absl::StrContains(out, "://");
  if (out == err || request.terminal() || (uri && err.empty())) {
    return open(out);
  }
  ASSIGN_OR_RETURN(Sink output, open(out));
  absl::StatusOr<Sink> error_output = open(err);
  if (!error_output.ok()) {
    if (output) output->Discard().IgnoreError();
    return error_output.status();
  }
  return std::make_unique<SplitOutput>(std::move(output),
                                       *std::move(error_output));
}

}  // namespace serai::shim
