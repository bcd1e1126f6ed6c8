// SPDX-License-Identifier: Apache-2.0
#include "cni/plugin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "cni/json.h"
#include "cni/result.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"

namespace serai::cni {
namespace {

constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr size_t kMaxInterfaceName = 15;  // the kernel's IFNAMSIZ - 1
constexpr size_t kMaxIdLength = 128;

// Well-known error codes that mean "not now" (sections 2 and 5).
constexpr int kTryAgainLater = 11;
constexpr int kPluginNotAvailable = 50;
constexpr int kPluginNotAvailableLimited = 51;

constexpr decltype(statfs::f_type) kNsfsMagic = 0x6e736673;

bool IsNamespace(const std::string& path) {
  struct statfs fs = {};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == kNsfsMagic;
}

bool IsIdCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' ||
         c == '.' || c == '-';
}

// CNI_ARGS has no quoting, so such values can't be told at all. What is longer
// than a record's strings could not be read back for DEL.
bool FitsInArgs(const std::string& value) {
  return value.size() <= kMaxStringBytes &&
         std::none_of(value.begin(), value.end(), [](char c) {
           return c == ';' || c == '=' ||
                  absl::ascii_iscntrl(static_cast<unsigned char>(c));
         });
}

// Plugins take a bad one without a word and map nothing.
bool IsSound(const PortMapping& mapping) {
  std::array<unsigned char, sizeof(in6_addr)> address = {};
  const char* ip = mapping.host_ip.c_str();
  return mapping.host_port >= 0 && mapping.host_port <= 65535 &&
         mapping.container_port >= 1 && mapping.container_port <= 65535 &&
         (mapping.protocol == "tcp" || mapping.protocol == "udp" ||
          mapping.protocol == "sctp") &&
         (mapping.host_ip.empty() ||
          ::inet_pton(AF_INET, ip, address.data()) == 1 ||
          ::inet_pton(AF_INET6, ip, address.data()) == 1);
}

std::string Args(const Attachment& attachment) {
  std::string args = "IgnoreUnknown=1";
  for (const auto& [key, value] :
       {std::pair("K8S_POD_NAMESPACE", &attachment.pod_namespace),
        std::pair("K8S_POD_NAME", &attachment.pod_name),
        std::pair("K8S_POD_INFRA_CONTAINER_ID", &attachment.container_id),
        std::pair("K8S_POD_UID", &attachment.pod_uid),
        std::pair("IP", &attachment.wanted_address),
        std::pair("MAC", &attachment.wanted_mac)}) {
    if (!value->empty()) absl::StrAppend(&args, ";", key, "=", *value);
  }
  return args;
}

// What a plugin that ended with an error said of it.
absl::Status Failure(const SubprocessResult& result) {
  const std::optional<PluginError> error = ParsePluginError(result.output);
  if (!error.has_value()) {
    const std::string said = Printable(
        result.error_output.empty() ? result.output : result.error_output);
    return absl::UnknownError(absl::StrCat("exit code ", result.exit_code,
                                           " and no error object",
                                           said.empty() ? "" : ": ", said));
  }
  const bool later = error->code == kTryAgainLater ||
                     error->code == kPluginNotAvailable ||
                     error->code == kPluginNotAvailableLimited;
  return absl::Status(
      later ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnknown,
      absl::StrCat(error->message, " (code ", error->code, ")"));
}

}  // namespace

absl::Status Validate(const Attachment& attachment) {
  const std::string& id = attachment.container_id;
  if (id.empty() || id.size() > kMaxIdLength ||
      !absl::ascii_isalnum(static_cast<unsigned char>(id[0])) ||
      !std::all_of(id.begin(), id.end(), IsIdCharacter)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(id), "\" is no container id"));
  }
  const std::string& name = attachment.interface_name;
  if (name.empty() || name.size() > kMaxInterfaceName || name == "." ||
      name == ".." || !std::all_of(name.begin(), name.end(), IsIdCharacter)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(name), "\" is no interface name"));
  }
  for (const std::string* value :
       {&attachment.pod_name, &attachment.pod_namespace, &attachment.pod_uid,
        &attachment.wanted_address, &attachment.wanted_mac}) {
    if (!FitsInArgs(*value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", Printable(*value), "\" can't be told to a plugin"));
    }
  }
  for (const PortMapping& mapping : attachment.port_mappings) {
    if (!IsSound(mapping)) {
      return absl::InvalidArgumentError(
          absl::StrCat("no port mapping: ", Printable(mapping.host_ip), ":",
                       mapping.host_port, " to ", mapping.container_port, "/",
                       Printable(mapping.protocol)));
    }
  }
  return absl::OkStatus();
}

PluginRunner::PluginRunner(std::vector<std::string> bin_dirs,
                           absl::Duration timeout)
    : bin_dirs_(std::move(bin_dirs)),
      timeout_(timeout),
      path_(std::getenv("PATH") != nullptr ? std::getenv("PATH")
                                           : kDefaultPath) {}

absl::StatusOr<std::string> PluginRunner::Find(const std::string& type) const {
  for (const std::string& dir : bin_dirs_) {
    std::string path = JoinPath(dir, type);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::NotFoundError(absl::StrCat("plugin ", type, ": no program in ",
                                          absl::StrJoin(bin_dirs_, ", ")));
}

std::vector<std::string> PluginRunner::Environment(
    const std::string& command, const Attachment* attachment) const {
  std::vector<std::string> env = {
      absl::StrCat("PATH=", path_), absl::StrCat("CNI_COMMAND=", command),
      absl::StrCat("CNI_PATH=", absl::StrJoin(bin_dirs_, ":"))};
  if (attachment == nullptr) return env;
  // A namespace that is gone (a reboot, a forced removal) is told as none:
  // plugins then free what they hold elsewhere.
  const bool gone = command == "DEL" && !IsNamespace(attachment->netns);
  env.push_back(absl::StrCat("CNI_CONTAINERID=", attachment->container_id));
  env.push_back(absl::StrCat("CNI_NETNS=", gone ? "" : attachment->netns));
  env.push_back(absl::StrCat("CNI_IFNAME=", attachment->interface_name));
  env.push_back(absl::StrCat("CNI_ARGS=", Args(*attachment)));
  return env;
}

absl::StatusOr<std::string> PluginRunner::Run(const std::string& type,
                                              const std::string& command,
                                              const Attachment* attachment,
                                              const std::string& input,
                                              int lock_fd) const {
  SubprocessSpec spec;
  ASSIGN_OR_RETURN(spec.program, Find(type));
  spec.env = Environment(command, attachment);
  spec.input = input;
  spec.directory = "/";
  if (lock_fd >= 0) spec.descriptors = {lock_fd};
  spec.timeout = timeout_;
  spec.max_output = kMaxJsonBytes;
  const std::string what = absl::StrCat("plugin ", type, ": ", command);
  absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  if (absl::IsOutOfRange(result.status())) {  // it printed too much
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": ", result.status().message()));
  }
  RETURN_IF_ERROR(result.status(), what);
  if (result->exit_code != 0) return Annotate(Failure(*result), what);
  return std::move(result->output);
}

}  // namespace serai::cni
