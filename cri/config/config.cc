// SPDX-License-Identifier: Apache-2.0
#include "cri/config/config.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/config/keys.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;

// "the configuration" or "[cni]"
std::string TitleOf(const std::string& table) {
  return table.empty() ? "the configuration" : absl::StrCat("[", table, "]");
}

bool HasTable(const std::string& table) {
  for (const Key<Config>& key : ConfigKeys()) {
    if (absl::StartsWith(key.name, table + ".")) return true;
  }
  return false;
}

// Reads one key of the table `path` ("" at the top) by what `keys` say.
// False when they don't know it.
template <typename Table>
bool ReadKey(Reader& reader, const std::string& path,
             const std::string& key_name, const toml::node& value,
             const std::vector<Key<Table>>& keys, Table& out) {
  const std::string name =
      path.empty() ? key_name : absl::StrCat(path, ".", key_name);
  for (const Key<Table>& key : keys) {
    if (key.name != name) continue;
    key.read(reader, value, out);
    return true;
  }
  return false;
}

void UnknownKey(Reader& reader, const toml::key& key,
                const std::string& title) {
  reader.Error(
      key.source(),
      absl::StrCat("unknown key \"", std::string(key.str()), "\" in ", title));
}

void ReadHandlers(Reader& reader, const toml::node& node,
                  std::map<std::string, HandlerConfig>& handlers) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    reader.Error(node.source(), "[handlers] is no table");
    return;
  }
  for (const auto& [key, value] : *table) {
    const std::string name(key.str());
    const std::string title = absl::StrCat("[handlers.", name, "]");
    const toml::table* settings = value.as_table();
    if (settings == nullptr) {
      reader.Error(value.source(), title + " is no table");
      continue;
    }
    HandlerConfig& handler = handlers[name];
    for (const auto& [inner, setting] : *settings) {
      if (!ReadKey(reader, "", std::string(inner.str()), setting, HandlerKeys(),
                   handler)) {
        UnknownKey(reader, inner, title);
      }
    }
  }
}

// Reads the table called `path`, and those in it.
void ReadTable(Reader& reader, const toml::table& table,
               const std::string& path, Config& config) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (path.empty() && name == "version") continue;
    if (path.empty() && name == "handlers") {
      ReadHandlers(reader, value, config.handlers);
      continue;
    }
    if (ReadKey(reader, path, name, value, ConfigKeys(), config)) continue;
    const std::string inner =
        path.empty() ? name : absl::StrCat(path, ".", name);
    if (!HasTable(inner)) {
      UnknownKey(reader, key, TitleOf(path));
    } else if (const toml::table* below = value.as_table()) {
      ReadTable(reader, *below, inner, config);
    } else {
      reader.Error(value.source(), TitleOf(inner) + " is no table");
    }
  }
}

void CheckVersion(Reader& reader, const toml::table& table) {
  const toml::node* version = table.get("version");
  if (version == nullptr) {
    reader.Error(table.source(), "\"version = 1\" is missing");
  } else if (version->value_exact<int64_t>() != 1) {
    reader.Error(version->source(),
                 "this seraid reads configuration version 1");
  }
}

// What a file says, put over `config`.
absl::Status ApplyFile(const std::string& path, Config& config) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  return ApplyToml(text, path, config);
}

void Note(const absl::Status& status, std::vector<std::string>& errors) {
  if (!status.ok()) errors.emplace_back(status.message());
}

void ApplyDropIns(const std::string& directory, Config& config,
                  std::vector<std::string>& errors) {
  if (!PathExists(directory)) return;
  const absl::StatusOr<std::vector<std::string>> names = ListDir(directory);
  if (!names.ok()) return Note(names.status(), errors);
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, ".toml")) continue;
    Note(ApplyFile(JoinPath(directory, name), config), errors);
  }
}

// What is wrong though each key by itself is right.
void CheckTogether(const std::string& path, const Config& config,
                   std::vector<std::string>& errors) {
  const auto note = [&](absl::string_view what) {
    errors.push_back(absl::StrCat(path, ": ", what));
  };
  if (config.passthrough.socket == config.cri.socket) {
    note(absl::StrCat("passthrough.socket is seraid's own, ", config.cri.socket,
                      ": containerd's is wanted, such as "
                      "/run/containerd/containerd.sock"));
  }
  const Config::Streaming& streaming = config.streaming;
  if (streaming.tls_certificate.empty() != streaming.tls_key.empty()) {
    note("streaming.tls_certificate and tls_key are to be set both or neither");
  } else if (streaming.tls_key.empty() && !streaming.tls_client_ca.empty()) {
    note("streaming.tls_client_ca needs tls_certificate and tls_key");
  }
}

}  // namespace

absl::Status ApplyToml(const std::string& text, const std::string& name,
                       Config& config) {
  Reader reader(name);
  const toml::parse_result parsed = toml::parse(text);
  if (parsed) {
    CheckVersion(reader, parsed.table());
    ReadTable(reader, parsed.table(), "", config);
  } else {
    reader.Error(parsed.error().source(),
                 std::string(parsed.error().description()));
  }
  if (reader.errors().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(reader.errors(), "\n"));
}

absl::StatusOr<Config> LoadConfig(const std::string& path, bool must_exist) {
  Config config;
  std::vector<std::string> errors;
  const absl::Status applied = ApplyFile(path, config);
  // A link that leads nowhere is a mistake, not an absent file.
  const bool absent = absl::IsNotFound(applied) && !PathExists(path);
  if (absent && must_exist) return applied;
  if (!absent) Note(applied, errors);
  ApplyDropIns(path + ".d", config, errors);
  CheckTogether(path, config, errors);
  if (errors.empty()) return config;
  return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

absl::StatusOr<const HandlerConfig*> FindHandler(const Config& config,
                                                 const std::string& name) {
  const auto found = config.handlers.find(name);
  if (found != config.handlers.end()) return &found->second;
  const auto key = [](std::string* out, const auto& handler) {
    out->append(handler.first);
  };
  return absl::InvalidArgumentError(absl::StrCat(
      "no runtime handler is called \"", name, "\"; the configuration has: ",
      absl::StrJoin(config.handlers, ", ", key)));
}

}  // namespace serai::cri
