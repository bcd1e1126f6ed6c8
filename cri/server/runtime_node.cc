// SPDX-License-Identifier: Apache-2.0
// The node: version, status, configuration.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "cri/bundle/bundle.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"
#include "cri/server/verbose.h"
#include "lib/base/version.h"

namespace serai::cri {
namespace {

constexpr char kKubeletApiVersion[] = "0.1.0";
constexpr char kCriVersion[] = "v1";

absl::Status ProgramsAreThere(const Config& config) {
  std::vector<std::string> paths = {config.programs.shim,
                                    config.programs.tender};
  // Images are containerd's where it is behind us.
  if (config.passthrough.socket.empty()) {
    paths.push_back(config.programs.unpacker);
  }
  for (const std::string& path : paths) {
    if (::access(path.c_str(), X_OK) != 0) {
      return absl::UnavailableError(
          absl::StrCat(path, ": ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

void AddCondition(const char* type, const absl::Status& status,
                  const char* reason, runtime::v1::RuntimeStatus& out) {
  runtime::v1::RuntimeCondition* condition = out.add_conditions();
  condition->set_type(type);
  condition->set_status(status.ok());
  if (status.ok()) return;
  condition->set_reason(reason);
  condition->set_message(std::string(status.message()));
}

}  // namespace

grpc::Status RuntimeService::Version(grpc::ServerContext*,
                                     const runtime::v1::VersionRequest*,
                                     runtime::v1::VersionResponse* response) {
  return Answer("Version", "", [&] {
    response->set_version(kKubeletApiVersion);
    response->set_runtime_name("serai");
    response->set_runtime_version(kVersion);
    response->set_runtime_api_version(kCriVersion);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::Status(grpc::ServerContext*,
                                    const runtime::v1::StatusRequest* request,
                                    runtime::v1::StatusResponse* response) {
  return Answer("Status", "", [&] {
    runtime::v1::RuntimeStatus& status = *response->mutable_status();
    AddCondition("RuntimeReady", ProgramsAreThere(parts_.config),
                 "ProgramMissing", status);
    AddCondition("NetworkReady", parts_.network.Ready(),
                 "NetworkPluginNotReady", status);
    for (const auto& [name, handler] : parts_.config.handlers) {
      runtime::v1::RuntimeHandler* out = response->add_runtime_handlers();
      out->set_name(name);
      out->mutable_features()->set_user_namespaces(false);
      out->mutable_features()->set_recursive_read_only_mounts(false);
    }
    // None of them: a guest has neither groups nor mounts, nor any part in the
    // node's network.
    response->mutable_features()->set_supplemental_groups_policy(false);
    response->mutable_features()->set_user_namespaces_host_network(false);
    response->mutable_features()->set_mount_options(false);
    if (request->verbose()) {
      auto& info = *response->mutable_info();
      info["config"] = ConfigInfo(parts_.config);
      info["serai"] =
          NodeInfo(parts_.shim_options, parts_.cgroups, parts_.store);
      info["cni"] = NetworkInfo(parts_.network);
    }
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::RuntimeConfig(
    grpc::ServerContext*, const runtime::v1::RuntimeConfigRequest*,
    runtime::v1::RuntimeConfigResponse* response) {
  return Answer("RuntimeConfig", "", [&] {
    response->mutable_linux()->set_cgroup_driver(
        parts_.config.cgroup.by_systemd() ? runtime::v1::SYSTEMD
                                          : runtime::v1::CGROUPFS);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::UpdateRuntimeConfig(
    grpc::ServerContext*, const runtime::v1::UpdateRuntimeConfigRequest*,
    runtime::v1::UpdateRuntimeConfigResponse*) {
  // Only the node's pod CIDR is in it, which is the CNI plugins' business.
  return Answer("UpdateRuntimeConfig", "", [] { return absl::OkStatus(); });
}

}  // namespace serai::cri
