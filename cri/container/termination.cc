// SPDX-License-Identifier: Apache-2.0
#include "cri/container/termination.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "nlohmann/json.hpp"

namespace serai::cri {
namespace {

constexpr char kPathAnnotation[] =
    "io.kubernetes.container.terminationMessagePath";
constexpr char kPolicyAnnotation[] =
    "io.kubernetes.container.terminationMessagePolicy";
constexpr char kFallback[] = "FallbackToLogsOnError";
constexpr char kDefaultPath[] = "/dev/termination-log";
// What kubelet reads at most.
constexpr size_t kMaxMessage = 4096;

std::string Annotation(const ContainerRecord& record, const char* name,
                       const char* otherwise) {
  const auto& annotations = record.config().annotations();
  const auto found = annotations.find(name);
  return found == annotations.end() || found->second.empty() ? otherwise
                                                             : found->second;
}

// The file on the host; empty when the container has none. Of several mounts
// at the path the last is on top; what is mounted read-only is not ours to
// write.
std::string HostPath(const ContainerRecord& record) {
  const std::string path = Annotation(record, kPathAnnotation, kDefaultPath);
  const auto& mounts = record.config().mounts();
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->container_path() == path && !mount->readonly()) {
      return mount->host_path();
    }
  }
  return "";
}

// A guest prints what it likes; this goes through the API server to terminals.
// Valid UTF-8 without control characters but newlines and tabs.
std::string Printable(const std::string& text) {
  using nlohmann::json;
  const std::string quoted =
      json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  std::string valid = json::parse(quoted).get<std::string>();
  for (char& c : valid) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = '?';
  }
  return valid;
}

// The end of `text`, from the beginning of a line where there is one.
std::string Tail(const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::string tail = text.substr(text.size() - max_bytes);
  const size_t newline = tail.find('\n');
  if (newline != std::string::npos && newline + 1 < tail.size()) {
    return tail.substr(newline + 1);
  }
  // One endless line: not from the middle of a character.
  size_t begin = 0;
  while (begin < tail.size() &&
         (static_cast<unsigned char>(tail[begin]) & 0xc0) == 0x80) {
    ++begin;
  }
  return tail.substr(begin);
}

// Whether the log tells as much as we could.
bool IsGuestsOwn(const std::string& reason) { return reason == "Error"; }

}  // namespace

std::string TerminationMessage(const ContainerRecord& record,
                               const std::string& last_words) {
  if (record.exit_code() == 0) return "";
  if (IsGuestsOwn(record.reason()) &&
      Annotation(record, kPolicyAnnotation, "") == kFallback) {
    return "";
  }
  // The details are in the status' message, which kubelet puts before this.
  const std::string reason =
      absl::StrCat(record.reason(), " (exit status ", record.exit_code(), ")");
  std::string words = Printable(last_words);
  if (!words.empty() && words.back() != '\n') words += '\n';
  return absl::StrCat(Tail(words, kMaxMessage - reason.size()), reason);
}

absl::Status WriteTerminationMessage(const ContainerRecord& record,
                                     const std::string& last_words) {
  const std::string path = HostPath(record);
  if (path.empty()) return absl::OkStatus();
  const std::string message = TerminationMessage(record, last_words);
  if (message.empty()) return absl::OkStatus();
  // A pipe without a reader would hold us up.
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFile(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("fstat ", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file"));
  }
  if (::ftruncate(fd.get(), 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("ftruncate ", path));
  }
  return Annotate(WriteAll(fd.get(), message), path);
}

}  // namespace serai::cri
