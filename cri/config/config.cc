// SPDX-License-Identifier: Apache-2.0
#include "cri/config/config.h"

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "lib/base/file.h"
#include "lib/base/quantity.h"
#include "lib/base/toml.h"

namespace serai::cri {
namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;

// One document being read: knows where a complaint belongs.
class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  absl::Status Error(const toml::source_region& source,
                     absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        name_, ":", source.begin.line, ":", source.begin.column, ": ", what));
  }

  // How to read one key.
  using Read = std::function<absl::Status(const toml::node&)>;
  using Keys = std::map<std::string, Read>;

  // Reads every key of `node`, a table called `title`; others are errors.
  absl::Status Table(const toml::node& node, const std::string& title,
                     const Keys& keys) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) return Error(node.source(), title + " is no table");
    for (const auto& [key, value] : *table) {
      const auto known = keys.find(std::string(key.str()));
      if (known == keys.end()) {
        return Error(key.source(),
                     absl::StrCat("unknown key \"", std::string(key.str()),
                                  "\" in ", title));
      }
      RETURN_IF_ERROR(known->second(value));
    }
    return absl::OkStatus();
  }

  Read String(std::string& out) const {
    return [this, &out](const toml::node& node) {
      const auto value = node.value_exact<std::string>();
      if (!value) return Error(node.source(), "a string is wanted");
      out = *value;
      return absl::OkStatus();
    };
  }

  // An absolute path; with `may_be_empty` also nothing.
  Read Path(std::string& out, bool may_be_empty = false) const {
    return [this, &out, may_be_empty](const toml::node& node) {
      RETURN_IF_ERROR(String(out)(node));
      if (out.empty() && may_be_empty) return absl::OkStatus();
      if (!absl::StartsWith(out, "/")) {
        return Error(node.source(), "an absolute path is wanted");
      }
      return absl::OkStatus();
    };
  }

  Read Bytes(int64_t& out) const {
    return [this, &out](const toml::node& node) {
      std::string text;
      RETURN_IF_ERROR(String(text)(node));
      auto bytes = ParseQuantity(text);
      if (!bytes.ok()) return Error(node.source(), bytes.status().message());
      out = *bytes;
      return absl::OkStatus();
    };
  }

  Read Duration(absl::Duration& out) const {
    return [this, &out](const toml::node& node) {
      std::string text;
      RETURN_IF_ERROR(String(text)(node));
      if (!absl::ParseDuration(text, &out) || out <= absl::ZeroDuration()) {
        return Error(node.source(), "a duration such as \"60s\" is wanted");
      }
      return absl::OkStatus();
    };
  }

  Read Paths(std::vector<std::string>& out) const {
    return [this, &out](const toml::node& node) {
      const toml::array* array = node.as_array();
      if (array == nullptr) {
        return Error(node.source(), "an array of paths is wanted");
      }
      out.clear();
      for (const toml::node& element : *array) {
        std::string path;
        RETURN_IF_ERROR(Path(path)(element));
        out.push_back(std::move(path));
      }
      return absl::OkStatus();
    };
  }

  Read Section(std::string title, Keys keys) const {
    return [this, title = std::move(title), keys = std::move(keys)](
               const toml::node& node) { return Table(node, title, keys); };
  }

 private:
  const std::string name_;
};

absl::Status ReadHandlers(const Reader& reader, const toml::node& node,
                          std::map<std::string, HandlerConfig>& handlers) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    return reader.Error(node.source(), "[handlers] is no table");
  }
  for (const auto& [key, value] : *table) {
    const std::string name(key.str());
    HandlerConfig& handler = handlers[name];
    RETURN_IF_ERROR(reader.Table(
        value, absl::StrCat("[handlers.", name, "]"),
        {{"default_memory", reader.Bytes(handler.default_memory)},
         {"overhead_memory", reader.Bytes(handler.overhead_memory)}}));
  }
  return absl::OkStatus();
}

absl::Status CheckVersion(const Reader& reader, const toml::table& table) {
  const toml::node* version = table.get("version");
  if (version == nullptr) {
    return reader.Error(table.source(), "\"version = 1\" is missing");
  }
  if (version->value_exact<int64_t>() != 1) {
    return reader.Error(version->source(),
                        "this seraid reads configuration version 1");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyToml(const std::string& text, const std::string& name,
                       Config& config) {
  const Reader reader(name);
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return reader.Error(parsed.error().source(),
                        std::string(parsed.error().description()));
  }
  RETURN_IF_ERROR(CheckVersion(reader, parsed.table()));
  const auto handlers = [&](const toml::node& node) {
    return ReadHandlers(reader, node, config.handlers);
  };
  return reader.Table(
      parsed.table(), "the configuration",
      {{"version", [](const toml::node&) { return absl::OkStatus(); }},
       {"root", reader.Path(config.root)},
       {"state", reader.Path(config.state)},
       {"cri",
        reader.Section("[cri]", {{"socket", reader.Path(config.cri.socket)}})},
       {"programs",
        reader.Section(
            "[programs]",
            {{"shim", reader.Path(config.programs.shim, true)},
             {"tender", reader.Path(config.programs.tender, true)}})},
       {"handlers", handlers},
       {"cni",
        reader.Section("[cni]",
                       {{"conf_dir", reader.Path(config.cni.conf_dir)},
                        {"bin_dirs", reader.Paths(config.cni.bin_dirs)},
                        {"timeout", reader.Duration(config.cni.timeout)}})},
       {"registry",
        reader.Section(
            "[registry]",
            {{"config_path", reader.Path(config.registry.config_path, true)}})},
       {"cgroup",
        reader.Section("[cgroup]",
                       {{"parent", reader.Path(config.cgroup.parent)}})}});
}

absl::StatusOr<Config> LoadConfig(const std::string& path) {
  Config config;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  RETURN_IF_ERROR(ApplyToml(text, path, config));
  const std::string drop_ins = path + ".d";
  if (!PathExists(drop_ins)) return config;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(drop_ins));
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".toml")) continue;
    const std::string file = JoinPath(drop_ins, name);
    ASSIGN_OR_RETURN(const std::string more, ReadFile(file, kMaxConfigBytes));
    RETURN_IF_ERROR(ApplyToml(more, file, config));
  }
  return config;
}

}  // namespace serai::cri
