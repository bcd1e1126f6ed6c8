// SPDX-License-Identifier: Apache-2.0
#include "cri/config/kinds.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "lib/base/quantity.h"

namespace serai::cri {
namespace {

bool ReadString(Reader& reader, const toml::node& node, std::string& out) {
  const auto value = node.value_exact<std::string>();
  if (!value) return reader.Error(node.source(), "a string is wanted");
  out = *value;
  return true;
}

// In quotes, with escapes as TOML has them.
std::string PrintString(const std::string& text) {
  std::ostringstream out;
  out << toml::toml_formatter(toml::value<std::string>(text),
                              toml::format_flags::none);
  return out.str();
}

absl::Status CheckDirectory(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (S_ISDIR(info.st_mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is not a directory"));
}

absl::Status CheckFile(const std::string& path) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, path);
}

absl::Status CheckProgram(const std::string& path) {
  if (path.empty() || ::access(path.c_str(), X_OK) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, path);
}

// Plugins may be in any of them.
absl::Status CheckOneDirectory(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (CheckDirectory(path).ok()) return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("none of ", absl::StrJoin(paths, ", "), " is a directory"));
}

Kind<std::string> PathThat(std::function<absl::Status(const std::string&)> is,
                           Empty empty) {
  Kind<std::string> kind = Path(empty);
  kind.check = std::move(is);
  return kind;
}

Kind<std::vector<std::string>> ArrayOf(const Kind<std::string>& element,
                                       const std::string& what) {
  using Strings = std::vector<std::string>;
  Kind<Strings> kind;
  kind.read = [element, what](Reader& reader, const toml::node& node,
                              Strings& out) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      return reader.Error(node.source(),
                          absl::StrCat("an array of ", what, " is wanted"));
    }
    bool good = true;
    out.clear();
    for (const toml::node& item : *array) {
      good &= element.read(reader, item, out.emplace_back());
    }
    return good;
  };
  kind.print = [](const Strings& strings) {
    const auto print = [](std::string* out, const std::string& text) {
      out->append(PrintString(text));
    };
    return absl::StrCat("[", absl::StrJoin(strings, ", ", print), "]");
  };
  return kind;
}

}  // namespace

Kind<std::string> Text(Empty empty) {
  const auto read = [empty](Reader& reader, const toml::node& node,
                            std::string& out) {
    if (!ReadString(reader, node, out)) return false;
    if (!out.empty() || empty == Empty::kAllowed) return true;
    return reader.Error(node.source(), "must not be empty");
  };
  return {read, PrintString, nullptr};
}

Kind<std::string> OneOf(std::vector<std::string> words) {
  const auto read = [words = std::move(words)](Reader& reader,
                                               const toml::node& node,
                                               std::string& out) {
    if (!ReadString(reader, node, out)) return false;
    for (const std::string& word : words) {
      if (word == out) return true;
    }
    return reader.Error(
        node.source(),
        absl::StrCat("\"", out, "\" is none of ", absl::StrJoin(words, ", ")));
  };
  return {read, PrintString, nullptr};
}

Kind<std::string> Path(Empty empty) {
  const auto read = [empty](Reader& reader, const toml::node& node,
                            std::string& out) {
    if (!ReadString(reader, node, out)) return false;
    if (absl::StartsWith(out, "/")) return true;
    if (out.empty() && empty == Empty::kAllowed) return true;
    return reader.Error(node.source(), "an absolute path is wanted");
  };
  return {read, PrintString, nullptr};
}

Kind<std::string> File(Empty empty) { return PathThat(CheckFile, empty); }

Kind<std::string> Directory(Empty empty) {
  return PathThat(CheckDirectory, empty);
}

Kind<std::string> Program(Empty empty) { return PathThat(CheckProgram, empty); }

Kind<std::vector<std::string>> Directories() {
  Kind<std::vector<std::string>> kind = ArrayOf(Path(), "paths");
  kind.check = CheckOneDirectory;
  return kind;
}

Kind<std::vector<std::string>> Files() {
  Kind<std::vector<std::string>> kind = ArrayOf(Path(), "paths");
  kind.check = [](const std::vector<std::string>& paths) {
    absl::Status status;
    for (const std::string& path : paths) status.Update(CheckFile(path));
    return status;
  };
  return kind;
}

Kind<std::vector<std::string>> Names() {
  return ArrayOf(Text(Empty::kRefused), "names");
}

Kind<int64_t> Bytes() {
  const auto read = [](Reader& reader, const toml::node& node, int64_t& out) {
    std::string text;
    if (!ReadString(reader, node, text)) return false;
    const auto bytes = ParseQuantity(text);
    if (!bytes.ok()) {
      return reader.Error(node.source(), bytes.status().message());
    }
    out = *bytes;
    return true;
  };
  const auto print = [](const int64_t& bytes) {
    if (bytes != 0 && bytes % (1 << 20) == 0) {
      return absl::StrCat("\"", bytes >> 20, "Mi\"");
    }
    return absl::StrCat("\"", bytes, "\"");
  };
  return {read, print, nullptr};
}

Kind<absl::Duration> Duration() {
  const auto read = [](Reader& reader, const toml::node& node,
                       absl::Duration& out) {
    std::string text;
    if (!ReadString(reader, node, text)) return false;
    if (absl::ParseDuration(text, &out) && out > absl::ZeroDuration()) {
      return true;
    }
    return reader.Error(node.source(), "a duration such as \"60s\" is wanted");
  };
  const auto print = [](const absl::Duration& duration) {
    // "1m0s" is right, but "60s" is what people write.
    const int64_t seconds = absl::ToInt64Seconds(duration);
    return absl::Seconds(seconds) == duration
               ? absl::StrCat("\"", seconds, "s\"")
               : absl::StrCat("\"", absl::FormatDuration(duration), "\"");
  };
  return {read, print, nullptr};
}

Kind<bool> Boolean() {
  const auto read = [](Reader& reader, const toml::node& node, bool& out) {
    const auto value = node.value_exact<bool>();
    if (!value) return reader.Error(node.source(), "true or false is wanted");
    out = *value;
    return true;
  };
  const auto print = [](const bool& value) -> std::string {
    return value ? "true" : "false";
  };
  return {read, print, nullptr};
}

}  // namespace serai::cri
