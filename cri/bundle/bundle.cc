// SPDX-License-Identifier: Apache-2.0
#include "cri/bundle/bundle.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "cri/bundle/devices.h"
#include "cri/bundle/network_args.h"
#include "lib/base/file.h"
#include "lib/oci/guest_arguments.h"

namespace serai::cri {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr char kKvmDevice[] = "/dev/kvm";

// What a container's command line says: the unikernel's place, where the pod
// names one, and the user's arguments for the guest.
struct CommandLine {
  std::string program;
  std::vector<std::string> args;
};

// Kubernetes' rule: command replaces the image's entrypoint and its cmd, args
// the cmd. The first word of an entrypoint is the program, which the search
// finds by itself; that of a command is one when it is an absolute path, else
// the guest's first argument.
CommandLine ReadCommandLine(const runtime::v1::ContainerConfig& container,
                            const oci::ImageConfig& image) {
  CommandLine line;
  if (container.command_size() > 0) {
    line.args.assign(container.command().begin(), container.command().end());
    if (line.args.front().rfind('/', 0) == 0) {
      line.program = line.args.front();
      line.args.erase(line.args.begin());
    }
  } else if (!image.entrypoint.empty()) {
    line.args.assign(image.entrypoint.begin() + 1, image.entrypoint.end());
  }
  if (container.args_size() > 0) {
    line.args.insert(line.args.end(), container.args().begin(),
                     container.args().end());
  } else if (container.command_size() == 0) {
    line.args.insert(line.args.end(), image.cmd.begin(), image.cmd.end());
  }
  return line;
}

absl::StatusOr<uint64_t> GuestMemory(const BundleInput& input,
                                     const solo5::Unikernel& unikernel) {
  const int64_t limit =
      input.container.linux().resources().memory_limit_in_bytes();
  const int64_t wanted = limit > 0 ? limit : input.handler.default_memory;
  const auto memory = static_cast<uint64_t>(wanted / kMiB * kMiB);
  const std::string said = absl::StrCat(
      limit > 0 ? "the memory limit of " : "the handler's default memory of ",
      wanted, " bytes");
  if (memory < unikernel.lowest_memory) {
    return absl::InvalidArgumentError(absl::StrCat(
        said, " is below what the unikernel needs to be loaded: ",
        unikernel.lowest_memory / kMiB, "Mi, and more for its heap"));
  }
  if (unikernel.target == solo5::Target::kHvt &&
      memory > solo5::kHvtMaxMemory) {
    return absl::InvalidArgumentError(
        absl::StrCat(said, " is above what an hvt unikernel can have: ",
                     solo5::kHvtMaxMemory / kMiB, "Mi"));
  }
  return memory;
}

oci::Resources CgroupResources(const runtime::v1::LinuxContainerResources& cri,
                               uint64_t guest_memory,
                               const HandlerConfig& handler) {
  oci::Resources resources;
  resources.memory_limit =
      static_cast<int64_t>(guest_memory) + handler.overhead_memory;
  if (cri.cpu_shares() > 0) {
    resources.cpu_shares = static_cast<uint64_t>(cri.cpu_shares());
  }
  if (cri.cpu_quota() != 0) resources.cpu_quota = cri.cpu_quota();
  if (cri.cpu_period() > 0) {
    resources.cpu_period = static_cast<uint64_t>(cri.cpu_period());
  }
  resources.cpus = cri.cpuset_cpus();
  resources.mems = cri.cpuset_mems();
  return resources;
}

std::vector<std::string> GuestArgs(const BundleInput& input,
                                   const std::vector<oci::GuestDevice>& devices,
                                   bool with_network,
                                   const std::vector<std::string>& user_args) {
  std::vector<std::string> args;
  for (const oci::GuestDevice& device : devices) {
    if (!with_network || device.type != oci::GuestDevice::Type::kNet) continue;
    const std::vector<std::string> more =
        NetworkArgs(input.pod.network(), device.name, user_args);
    args.insert(args.end(), more.begin(), more.end());
  }
  args.insert(args.end(), user_args.begin(), user_args.end());
  return args;
}

}  // namespace

absl::StatusOr<Bundle> MakeBundle(const BundleInput& input) {
  const CommandLine line = ReadCommandLine(input.container, input.image.config);
  oci::StringMap annotations(input.pod.config().annotations().begin(),
                             input.pod.config().annotations().end());
  // Both are the pod's own word for it; the annotation is the plainer one.
  if (!line.program.empty()) {
    annotations.emplace(kPodAnnotationUnikernel, line.program);
  }
  ASSIGN_OR_RETURN(const FoundUnikernel found,
                   FindUnikernel(input.image, annotations, input.node));
  ASSIGN_OR_RETURN(const uint64_t memory, GuestMemory(input, found.unikernel));
  ASSIGN_OR_RETURN(std::vector<oci::GuestDevice> devices,
                   MatchDevices(found.unikernel, input.pod, input.container));
  ASSIGN_OR_RETURN(const bool with_network,
                   WantsNetworkArgs(input.pod.config()));

  Bundle bundle;
  bundle.unikernel = found.path;
  bundle.target = solo5::TargetName(found.unikernel.target);
  oci::RuntimeSpec& spec = bundle.spec;
  spec.root_path = input.image.rootfs;
  spec.unikernel = found.path;
  spec.args = GuestArgs(input, devices, with_network, line.args);
  RETURN_IF_ERROR(oci::EscapeArguments(spec.args).status());
  spec.args.insert(spec.args.begin(), found.path);
  spec.hostname = input.pod.config().hostname();
  spec.network_namespace = input.pod.netns_path();
  spec.cgroups_path = input.cgroup;
  const auto& resources = input.container.linux().resources();
  spec.resources = CgroupResources(resources, memory, input.handler);
  if (resources.oom_score_adj() != 0) {
    spec.oom_score_adj = static_cast<int>(resources.oom_score_adj());
  }
  spec.guest_memory = memory;
  spec.devices = std::move(devices);
  return bundle;
}

absl::Status WriteBundle(const std::string& directory,
                         const oci::RuntimeSpec& spec) {
  RETURN_IF_ERROR(MakeDirs(directory));
  const absl::Status written =
      WriteFileAtomic(JoinPath(directory, "config.json"), oci::ToJson(spec),
                      0600, Durability::kProcess);
  if (written.ok()) return written;
  return FirstError(written, RemoveTree(directory));
}

NodeTargets ProbeNode() {
  NodeTargets node;
  const absl::StatusOr<UniqueFd> kvm = OpenFile(kKvmDevice, O_RDWR);
  if (!kvm.ok()) {
    node.hvt = false;
    node.hvt_reason = std::string(kvm.status().message());
  } else if (::ioctl(kvm->get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
    node.hvt = false;
    node.hvt_reason = absl::StrCat(kKvmDevice, " is no KVM device");
  }
  return node;
}

}  // namespace serai::cri
