// SPDX-License-Identifier: Apache-2.0
#include "cni/tap_plugin/ipam.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_split.h"
#include "cni/json.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"

namespace serai::tap_plugin {
namespace {

absl::StatusOr<std::string> Find(const Environment& environment,
                                 const std::string& type) {
  for (const absl::string_view dir : absl::StrSplit(environment.path, ':')) {
    if (dir.empty()) continue;
    std::string path = JoinPath(dir, type);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return CniError(ErrorCode::kInvalidConfig,
                  absl::StrCat("IPAM plugin ", type,
                               ": no program in CNI_PATH=", environment.path));
}

absl::StatusOr<std::string> Run(const Environment& environment,
                                const Config& config) {
  SubprocessSpec spec;
  ASSIGN_OR_RETURN(spec.program, Find(environment, config.ipam));
  const char* path = std::getenv("PATH");
  spec.env = {absl::StrCat("PATH=", path == nullptr ? "" : path),
              absl::StrCat("CNI_COMMAND=", environment.command),
              absl::StrCat("CNI_CONTAINERID=", environment.container_id),
              absl::StrCat("CNI_NETNS=", environment.netns),
              absl::StrCat("CNI_IFNAME=", environment.interface),
              absl::StrCat("CNI_ARGS=", environment.args),
              absl::StrCat("CNI_PATH=", environment.path)};
  spec.input = cni::Dump(config.json);
  spec.directory = "/";
  spec.max_output = cni::kMaxJsonBytes;
  ASSIGN_OR_RETURN(SubprocessResult result, RunSubprocess(spec), "IPAM plugin ",
                   config.ipam);
  if (result.exit_code == 0) return std::move(result.output);
  const auto error = cni::ParsePluginError(result.output);
  return CniError(
      error ? static_cast<ErrorCode>(error->code) : ErrorCode::kInternal,
      absl::StrCat(
          "IPAM plugin ", config.ipam, ": ", environment.command, ": ",
          error ? error->message : cni::Printable(result.error_output)));
}

}  // namespace

absl::StatusOr<Leased> IpamAdd(const Environment& environment,
                               const Config& config) {
  ASSIGN_OR_RETURN(const std::string output, Run(environment, config));
  Leased leased;
  const std::string what =
      absl::StrCat("IPAM plugin ", config.ipam, ": ADD answered with");
  ASSIGN_OR_RETURN(leased.json, cni::ParseResult(output), what);
  ASSIGN_OR_RETURN(leased.result,
                   cni::ReadResult(leased.json, environment.interface), what);
  return leased;
}

absl::Status IpamRun(const Environment& environment, const Config& config) {
  return Run(environment, config).status();
}

}  // namespace serai::tap_plugin
