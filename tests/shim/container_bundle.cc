// SPDX-License-Identifier: Apache-2.0
#include "tests/shim/container_bundle.h"

#include "lib/base/file.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxGuest = 64 << 20;

Json Mounts(const ContainerBundle& bundle) {
  Json mounts = {
      {{"destination", "/proc"},
       {"type", "proc"},
       {"source", "proc"},
       {"options", {"nosuid", "noexec", "nodev"}}},
      {{"destination", "/dev"},
       {"type", "tmpfs"},
       {"source", "tmpfs"},
       {"options", {"nosuid", "strictatime", "mode=755", "size=65536k"}}},
      {{"destination", "/etc/hosts"},
       {"type", "bind"},
       {"source", "/etc/hosts"},
       {"options", {"rbind", "rprivate", "rw"}}}};
  for (const Json& mount : bundle.mounts) mounts.push_back(mount);
  return mounts;
}

Json Linux(const ContainerBundle& bundle) {
  Json resources = {
      {"devices", {{{"allow", false}, {"access", "rwm"}}}},
      {"cpu", {{"shares", 102}, {"quota", 0}, {"period", 100000}}}};
  if (bundle.memory_limit) {
    resources["memory"] = {{"limit", *bundle.memory_limit}};
  }
  Json namespaces = {{{"type", "pid"}},
                     {{"type", "ipc"}, {"path", "/proc/1/ns/ipc"}},
                     {{"type", "uts"}, {"path", "/proc/1/ns/uts"}},
                     {{"type", "mount"}}};
  if (bundle.netns) {
    Json network = {{"type", "network"}};
    if (!bundle.netns->empty()) network["path"] = *bundle.netns;
    namespaces.push_back(network);
  }
  Json part = {{"resources", resources},
               {"namespaces", namespaces},
               {"maskedPaths", {"/proc/acpi", "/proc/kcore"}},
               {"readonlyPaths", {"/proc/bus"}}};
  if (!bundle.cgroups_path.empty()) part["cgroupsPath"] = bundle.cgroups_path;
  return part;
}

}  // namespace

Json ContainerConfig(const ContainerBundle& bundle) {
  return {{"ociVersion", "1.0.2-dev"},
          {"process",
           {{"user", {{"uid", 0}, {"gid", 0}}},
            {"args", bundle.args},
            {"env", {"PATH=/usr/bin:/bin", "HOSTNAME=pod"}},
            {"cwd", "/"},
            {"capabilities", {{"bounding", {"CAP_CHOWN", "CAP_KILL"}}}},
            {"noNewPrivileges", true},
            {"oomScoreAdj", 1000}}},
          {"root", {{"path", "rootfs"}}},
          {"mounts", Mounts(bundle)},
          {"annotations", bundle.annotations},
          {"linux", Linux(bundle)}};
}

absl::Status WriteContainerBundle(const std::string& directory,
                                  const ContainerBundle& bundle,
                                  const std::vector<std::string>& files) {
  const std::string root = JoinPath(directory, "rootfs");
  RETURN_IF_ERROR(MakeDirs(root));
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string guest,
                     ReadFile(BuildDir() + "/guests/" + file, kMaxGuest));
    RETURN_IF_ERROR(WriteFileAtomic(JoinPath(root, file), guest, 0755));
  }
  return WriteFileAtomic(JoinPath(directory, "config.json"),
                         ContainerConfig(bundle).dump());
}

std::map<std::string, std::string> ContainerAnnotations(
    const std::string& sandbox) {
  return {{"io.kubernetes.cri.container-type", "container"},
          {"io.kubernetes.cri.container-name", "web"},
          {"io.kubernetes.cri.image-name", "registry.test/web:1"},
          {"io.kubernetes.cri.sandbox-id", sandbox},
          {"io.kubernetes.cri.sandbox-name", "pod"},
          {"io.kubernetes.cri.sandbox-namespace", "default"}};
}

std::map<std::string, std::string> SandboxAnnotations(
    const std::string& sandbox) {
  return {{"io.kubernetes.cri.container-type", "sandbox"},
          {"io.kubernetes.cri.sandbox-id", sandbox},
          {"io.kubernetes.cri.sandbox-name", "pod"},
          {"io.kubernetes.cri.sandbox-namespace", "default"}};
}

}  // namespace serai::testing
