// SPDX-License-Identifier: Apache-2.0
#include "cri/config/kinds.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "cri/streaming/listen_address.h"
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

// What is wrong with a pattern that can match no repository's name; "" when it
// may match one.
std::string FaultOfPattern(absl::string_view pattern) {
  if (pattern.find('@') != pattern.npos) {
    return "has a digest: repositories are meant, whole";
  }
  const size_t slash = pattern.find('/');
  const absl::string_view registry = pattern.substr(0, slash);
  const bool any = registry.find('*') != registry.npos;
  if (slash == pattern.npos && !any) {
    return "is no repository with its registry, such as "
           "\"docker.io/library/web\" or \"registry.example/prod/*\"";
  }
  const size_t last = pattern.rfind('/');
  if (pattern.find(':', last == pattern.npos ? 0 : last) != pattern.npos) {
    return "has a tag: repositories are meant, whole";
  }
  // What Reference::Parse() takes for a registry.
  if (!any && registry.find_first_of(".:?") == registry.npos &&
      absl::AsciiStrToLower(registry) == registry && registry != "localhost") {
    return absl::StrCat("begins with no registry: is \"docker.io/", pattern,
                        "\" meant?");
  }
  if (absl::StrContains(pattern, "//") || absl::EndsWith(pattern, "/")) {
    return "has an empty part";
  }
  const bool strange =
      std::any_of(pattern.begin(), pattern.end(), [](unsigned char c) {
        return !absl::ascii_isalnum(c) &&
               std::strchr("._-/:*?[]", c) == nullptr;
      });
  return strange ? "has a character that no name has" : "";
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

Kind<std::string> Address(Empty empty) {
  const auto read = [empty](Reader& reader, const toml::node& node,
                            std::string& out) {
    if (!ReadString(reader, node, out)) return false;
    if (out.empty() && empty == Empty::kAllowed) return true;
    const absl::Status status = streaming::ParseListenAddress(out).status();
    return status.ok() || reader.Error(node.source(), status.message());
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

Kind<std::vector<std::string>> Repositories() {
  Kind<std::string> pattern = Text();
  pattern.read = [](Reader& reader, const toml::node& node, std::string& out) {
    if (!ReadString(reader, node, out)) return false;
    const std::string fault = FaultOfPattern(out);
    if (fault.empty()) return true;
    return reader.Error(node.source(), absl::StrCat("\"", out, "\" ", fault));
  };
  return ArrayOf(pattern, "repositories");
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

}  // namespace serai::cri
