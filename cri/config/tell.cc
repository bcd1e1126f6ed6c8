// SPDX-License-Identifier: Apache-2.0
// What can be told of a configuration: its defaults, what is missing for it,
// what is new in it.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "cri/config/config.h"
#include "cri/config/keys.h"

namespace serai::cri {
namespace {

constexpr size_t kCommentWidth = 78;

constexpr char kHead[] =
    "# The configuration of seraid. Every key is here with its default.\n"
    "# Files in config.toml.d/ beside this one are read after it, in order.\n"
    "# `seraid config check` finds mistakes.\n"
    "version = 1\n";

// `text` as comment lines.
std::string Comment(const std::string& text) {
  std::string out;
  std::string line = "#";
  for (const auto& piece : absl::StrSplit(text, ' ')) {
    const std::string word(piece);
    if (line.size() + 1 + word.size() > kCommentWidth) {
      absl::StrAppend(&out, line, "\n");
      line = "#";
    }
    absl::StrAppend(&line, " ", word);
  }
  return absl::StrCat(out, line, "\n");
}

// "cni" and "timeout" of "cni.timeout"; "" and "root" of "root".
std::pair<std::string, std::string> SplitName(const std::string& key) {
  const size_t dot = key.find_last_of('.');
  if (dot == std::string::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

template <typename Table>
std::string Explain(const Key<Table>& key, const Table& defaults) {
  std::string help = key.help;
  if (key.reload == Reload::kYes) help += " SIGHUP reloads it.";
  return absl::StrCat(Comment(help), "#", SplitName(key.name).second, " = ",
                      key.print(defaults), "\n");
}

template <typename Table>
void AddMissing(const std::string& prefix, const std::vector<Key<Table>>& keys,
                const Table& table, std::vector<std::string>& out) {
  for (const Key<Table>& key : keys) {
    const absl::Status status = key.check(table);
    if (status.ok()) continue;
    out.push_back(absl::StrCat(prefix, key.name, ": ", status.message()));
  }
}

template <typename Table>
void AddChanged(const std::string& prefix, const std::vector<Key<Table>>& keys,
                const Table& before, const Table& after,
                std::vector<std::string>& out) {
  for (const Key<Table>& key : keys) {
    if (key.reload == Reload::kYes) continue;
    if (key.print(before) != key.print(after)) out.push_back(prefix + key.name);
  }
}

}  // namespace

std::string DefaultToml() {
  const Config defaults;
  std::string out = kHead;
  std::string table;
  for (const Key<Config>& key : ConfigKeys()) {
    if (SplitName(key.name).first != table) {
      table = SplitName(key.name).first;
      absl::StrAppend(&out, "\n[", table, "]");
    }
    absl::StrAppend(&out, "\n", Explain(key, defaults));
  }
  absl::StrAppend(&out, "\n",
                  Comment("One table for each RuntimeClass handler."),
                  "[handlers.unikernel]");
  for (const Key<HandlerConfig>& key : HandlerKeys()) {
    absl::StrAppend(&out, "\n", Explain(key, HandlerConfig()));
  }
  return out;
}

std::vector<std::string> MissingThings(const Config& config) {
  std::vector<std::string> out;
  AddMissing("", ConfigKeys(), config, out);
  for (const auto& [name, handler] : config.handlers) {
    AddMissing(absl::StrCat("handlers.", name, "."), HandlerKeys(), handler,
               out);
  }
  return out;
}

std::vector<std::string> KeysThatNeedARestart(const Config& before,
                                              const Config& after) {
  std::vector<std::string> out;
  AddChanged("", ConfigKeys(), before, after, out);
  for (const auto& [name, handler] : before.handlers) {
    const std::string title = absl::StrCat("handlers.", name);
    const auto now = after.handlers.find(name);
    if (now == after.handlers.end()) {
      out.push_back(title);
    } else {
      AddChanged(title + ".", HandlerKeys(), handler, now->second, out);
    }
  }
  for (const auto& [name, handler] : after.handlers) {
    if (before.handlers.count(name) == 0) {
      out.push_back(absl::StrCat("handlers.", name));
    }
  }
  return out;
}

}  // namespace serai::cri
