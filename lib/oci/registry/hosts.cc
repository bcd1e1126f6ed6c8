// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/hosts.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "lib/base/file.h"
#include "lib/base/toml.h"
#include "lib/oci/registry/url.h"

namespace serai::oci {
namespace {

constexpr size_t kMaxHostsToml = 256 << 10;
constexpr size_t kMaxPem = 1 << 20;
constexpr size_t kMaxHosts = 32;
constexpr size_t kMaxListed = 64;  // strings in one array

constexpr char kDockerHub[] = "docker.io";
constexpr char kDockerHubServer[] = "registry-1.docker.io";

absl::Status Bad(const toml::node& node, absl::string_view what) {
  const auto& position = node.source().begin;
  return absl::InvalidArgumentError(absl::StrCat(
      "line ", position.line, ", column ", position.column, ": ", what));
}

absl::StatusOr<bool> BoolAt(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return false;
  if (!node->is_boolean())
    return Bad(*node, absl::StrCat(key, " is no boolean"));
  return **node->as_boolean();
}

// A string, or an array of them.
absl::StatusOr<std::vector<std::string>> Strings(const toml::node& node,
                                                 absl::string_view key) {
  if (const auto* text = node.as_string()) {
    return std::vector<std::string>{**text};
  }
  const toml::array* array = node.as_array();
  if (array == nullptr || array->size() > kMaxListed) {
    return Bad(node,
               absl::StrCat(key, " is neither a string nor a list of them"));
  }
  std::vector<std::string> strings;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) {
      return Bad(element, absl::StrCat(key, " holds something but strings"));
    }
    strings.push_back(**text);
  }
  return strings;
}

std::string Below(const std::string& directory, const std::string& path) {
  return absl::StartsWith(path, "/") ? path : JoinPath(directory, path);
}

// "https://host[:port][/path]" brought to an API root.
absl::Status SetUrl(std::string url, bool override_path, RegistryHost& host) {
  if (!absl::StrContains(url, "://")) {
    url = absl::StrCat(IsLoopbackHost(url) ? "http://" : "https://", url);
  }
  RETURN_IF_ERROR(UrlOrigin(url).status());
  if (url.find_first_of("?#") != std::string::npos) {
    return absl::InvalidArgumentError("the URL has a query or a fragment");
  }
  while (absl::EndsWith(url, "/")) url.pop_back();
  const size_t host_begin = url.find("://") + 3;
  const size_t host_end = std::min(url.find('/', host_begin), url.size());
  host.host = url.substr(host_begin, host_end - host_begin);
  if (!override_path && !absl::EndsWith(url.substr(host_end), "/v2")) {
    url += "/v2";
  }
  host.url = std::move(url);
  return absl::OkStatus();
}

absl::Status SetCapabilities(const toml::node& node, RegistryHost& host) {
  ASSIGN_OR_RETURN(const auto names, Strings(node, "capabilities"));
  host.can_pull = host.can_resolve = host.can_push = false;
  for (const std::string& name : names) {
    if (name == "pull") {
      host.can_pull = true;
    } else if (name == "resolve") {
      host.can_resolve = true;
    } else if (name == "push") {
      host.can_push = true;
    } else {
      return Bad(node, absl::StrCat("no capability is called \"", name, "\""));
    }
  }
  return absl::OkStatus();
}

// "cert.pem", ["cert.pem"], or [["cert.pem", "key.pem"]].
absl::Status SetClient(const toml::node& node, const std::string& directory,
                       RegistryHost& host) {
  const toml::node* pair = &node;
  if (const toml::array* array = node.as_array();
      array != nullptr && !array->empty() && array->get(0)->is_array()) {
    pair = array->get(0);
  }
  ASSIGN_OR_RETURN(const auto paths, Strings(*pair, "client"));
  const bool one_each = pair == &node;
  if (paths.empty() || paths.size() > (one_each ? 1 : 2)) {
    return Bad(node, "client is neither a file nor a pair of files");
  }
  host.tls.client_certificate = Below(directory, paths[0]);
  if (paths.size() == 2) host.tls.client_key = Below(directory, paths[1]);
  return absl::OkStatus();
}

absl::Status SetHeaders(const toml::node& node, RegistryHost& host) {
  const toml::table* table = node.as_table();
  if (table == nullptr || table->size() > kMaxListed) {
    return Bad(node, "header is no table");
  }
  for (auto&& [name, values] : *table) {
    ASSIGN_OR_RETURN(const auto texts, Strings(values, "header"));
    for (const std::string& text : texts) {
      host.headers.emplace_back(std::string(name.str()), text);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RegistryHost> ParseHost(const std::string& url,
                                       const toml::table& table,
                                       const std::string& directory) {
  RegistryHost host;
  ASSIGN_OR_RETURN(const bool override_path, BoolAt(table, "override_path"));
  if (const auto url_set = SetUrl(url, override_path, host); !url_set.ok()) {
    return Bad(table, absl::StrCat("host: ", url_set.message()));
  }
  ASSIGN_OR_RETURN(host.tls.skip_verify, BoolAt(table, "skip_verify"));
  if (const auto* node = table.get("capabilities")) {
    RETURN_IF_ERROR(SetCapabilities(*node, host));
  }
  if (const auto* node = table.get("ca")) {
    ASSIGN_OR_RETURN(const auto files, Strings(*node, "ca"));
    for (const std::string& file : files) {
      host.ca_files.push_back(Below(directory, file));
    }
  }
  if (const auto* node = table.get("client")) {
    RETURN_IF_ERROR(SetClient(*node, directory, host));
  }
  if (const auto* node = table.get("header")) {
    RETURN_IF_ERROR(SetHeaders(*node, host));
  }
  return host;
}

absl::StatusOr<std::vector<RegistryHost>> ParseMirrors(
    const toml::table& root, const std::string& directory) {
  std::vector<RegistryHost> hosts;
  const toml::node* node = root.get("host");
  if (node == nullptr) return hosts;
  const toml::table* mirrors = node->as_table();
  if (mirrors == nullptr) return Bad(*node, "host is no table");
  if (mirrors->size() > kMaxHosts) return Bad(*node, "more than 32 hosts");

  // The library sorts keys; the order of preference is the file's.
  std::vector<std::pair<std::string, const toml::table*>> ordered;
  for (auto&& [url, value] : *mirrors) {
    const toml::table* table = value.as_table();
    if (table == nullptr) return Bad(value, "a host is no table");
    ordered.emplace_back(std::string(url.str()), table);
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) {
                     return a.second->source().begin < b.second->source().begin;
                   });
  for (const auto& [url, table] : ordered) {
    ASSIGN_OR_RETURN(RegistryHost host, ParseHost(url, *table, directory));
    hosts.push_back(std::move(host));
  }
  return hosts;
}

absl::Status ReadCertificates(RegistryHost& host) {
  for (const std::string& file : host.ca_files) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(file, kMaxPem),
                     "CA certificate");
    absl::StrAppend(&host.tls.ca_pem, pem, "\n");
  }
  return absl::OkStatus();
}

// The directories that may configure `registry`, the first that exists counts.
std::vector<std::string> Candidates(const std::string& config_path,
                                    absl::string_view registry) {
  std::vector<std::string> names;
  const size_t colon = registry.rfind(':');
  if (colon != absl::string_view::npos && !absl::EndsWith(registry, "]")) {
    names.push_back(
        JoinPath(config_path, absl::StrCat(registry.substr(0, colon), "_",
                                           registry.substr(colon + 1), "_")));
  }
  names.push_back(JoinPath(config_path, registry));
  names.push_back(JoinPath(config_path, "_default"));
  return names;
}

}  // namespace

RegistryHost DefaultHost(absl::string_view registry) {
  RegistryHost host;
  host.host = registry == kDockerHub ? kDockerHubServer : std::string(registry);
  host.url = absl::StrCat(IsLoopbackHost(host.host) ? "http://" : "https://",
                          host.host, "/v2");
  return host;
}

absl::StatusOr<std::vector<RegistryHost>> ParseHostsToml(
    absl::string_view text, absl::string_view registry,
    const std::string& directory) {
  if (text.size() > kMaxHostsToml) {
    return absl::InvalidArgumentError("longer than 256 KiB");
  }
  const toml::parse_result parsed =
      toml::parse(std::string_view(text.data(), text.size()));
  if (parsed.failed()) {
    const auto& position = parsed.error().source().begin;
    const std::string_view what = parsed.error().description();
    return absl::InvalidArgumentError(
        absl::StrCat("line ", position.line, ", column ", position.column, ": ",
                     absl::string_view(what.data(), what.size())));
  }
  const toml::table& root = parsed.table();
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts,
                   ParseMirrors(root, directory));

  const RegistryHost own = DefaultHost(registry);
  std::string server = own.url;
  if (const auto* node = root.get("server")) {
    const auto* value = node->as_string();
    if (value == nullptr) return Bad(*node, "server is no string");
    server = **value;
  }
  ASSIGN_OR_RETURN(RegistryHost last, ParseHost(server, root, directory));
  hosts.push_back(std::move(last));
  for (RegistryHost& host : hosts) host.mirror = host.host != own.host;
  return hosts;
}

absl::StatusOr<std::vector<RegistryHost>> ResolveHosts(
    const std::string& config_path, absl::string_view registry) {
  if (registry.empty() || registry[0] == '.' ||
      absl::StrContains(registry, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a registry's name: \"", registry, "\""));
  }
  std::vector<RegistryHost> hosts;
  if (!config_path.empty()) {
    for (const std::string& directory : Candidates(config_path, registry)) {
      const std::string path = JoinPath(directory, "hosts.toml");
      absl::StatusOr<std::string> text = ReadFile(path, kMaxHostsToml);
      if (absl::IsNotFound(text.status())) continue;
      RETURN_IF_ERROR(text.status());
      ASSIGN_OR_RETURN(hosts, ParseHostsToml(*text, registry, directory), path);
      break;
    }
  }
  if (hosts.empty()) hosts.push_back(DefaultHost(registry));
  for (RegistryHost& host : hosts) RETURN_IF_ERROR(ReadCertificates(host));
  return hosts;
}

}  // namespace serai::oci
