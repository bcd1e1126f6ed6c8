// SPDX-License-Identifier: Apache-2.0
#include "cri/bundle/bundle.h"

#include <sys/mount.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "cri/bundle/options_cache.h"
#include "cri/image/root.h"
#include "cri/state/networks.h"
#include "lib/base/file.h"
#include "lib/guest/devices.h"
#include "lib/guest/find_unikernel.h"
#include "lib/guest/memory.h"
#include "lib/guest/network_args.h"
#include "lib/guest/tell_guest.h"

namespace serai::cri {
namespace {

constexpr char kRootfsInBundle[] = "rootfs";

std::string SpecPath(const std::string& directory) {
  return JoinPath(directory, "config.json");
}

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

guest::ImageWords WordsOf(const BundleInput& input, const CommandLine& line) {
  guest::ImageWords words;
  const auto& annotations = input.pod.config().annotations();
  words.pod_annotations.insert(annotations.begin(), annotations.end());
  words.command = line.program;
  const oci::ImageConfig& config = input.image.config;
  words.annotations = input.image.annotations;
  words.labels = config.labels;
  words.entrypoint = config.entrypoint.empty() ? config.cmd : config.entrypoint;
  words.working_dir = config.working_dir;
  return words;
}

absl::StatusOr<uint64_t> GuestMemory(
    const runtime::v1::ContainerConfig& container, const HandlerConfig& handler,
    const solo5::Unikernel& unikernel) {
  const int64_t limit = container.linux().resources().memory_limit_in_bytes();
  return limit > 0
             ? guest::GuestMemory(limit, "the memory limit", unikernel)
             : guest::GuestMemory(handler.default_memory,
                                  "the handler's default memory", unikernel);
}

std::vector<guest::TakenInterface> InterfacesOf(
    const state::v1::PodRecord& pod) {
  std::vector<guest::TakenInterface> interfaces;
  for (const state::v1::PodNetwork& network : NetworksOf(pod)) {
    guest::TakenInterface& taken = interfaces.emplace_back();
    taken.name = network.interface();
    taken.tap = network.tap();
    taken.mac = network.mac();
    taken.mtu = network.mtu();
    taken.tap_on_node = network.tap_on_node();
    for (const auto& address : network.addresses()) {
      taken.addresses.push_back(
          {address.address(), address.prefix_length(), address.gateway()});
    }
  }
  return interfaces;
}

// volumeDevices go before volumeMounts.
guest::BlockSources BlockSourcesOf(const BundleInput& input,
                                   const guest::ImageWords& words, int root) {
  guest::BlockSources sources;
  for (const auto& device : input.container.devices()) {
    sources.volumes.push_back({device.container_path(), device.host_path(),
                               !absl::StrContains(device.permissions(), 'w')});
  }
  for (const auto& mount : input.container.mounts()) {
    guest::Volume& volume = sources.volumes.emplace_back();
    volume.place = mount.container_path();
    volume.path = mount.host_path();
    volume.read_only = mount.readonly();
    if (mount.image().image().empty()) continue;
    volume.make_tar = [&] { return input.image_volume(mount); };
  }
  sources.bundle = input.directory;
  sources.empty_dir_size = input.handler.empty_dir_size;
  sources.pod_annotations = words.pod_annotations;
  sources.image_root = root;
  sources.image_words = words.annotations;  // these go before the labels
  sources.image_words.insert(words.labels.begin(), words.labels.end());
  return sources;
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

std::vector<std::string> TapsOf(const std::vector<oci::GuestDevice>& devices) {
  std::vector<std::string> taps;
  for (const oci::GuestDevice& device : devices) {
    if (device.type == oci::GuestDevice::Type::kNet) taps.push_back(device.tap);
  }
  return taps;
}

guest::NetworkFacts FactsOf(const BundleInput& input,
                            std::vector<guest::DeviceNetwork> devices) {
  guest::NetworkFacts facts;
  const auto& config = input.pod.config();
  facts.pod_name = config.metadata().name();
  const auto& servers = config.dns_config().servers();
  facts.dns_servers.assign(servers.begin(), servers.end());
  facts.devices = std::move(devices);
  return facts;
}

// CRI's and the image's, as they are in a Linux container.
guest::RumprunProgram ProgramOf(const BundleInput& input,
                                const CommandLine& line) {
  guest::RumprunProgram program;
  program.args = line.args;
  program.env = input.image.config.env;
  for (const auto& variable : input.container.envs()) {
    program.env.push_back(absl::StrCat(variable.key(), "=", variable.value()));
  }
  program.cwd = input.container.working_dir().empty()
                    ? input.image.config.working_dir
                    : input.container.working_dir();
  return program;
}

absl::StatusOr<guest::NetworkArgs> WantedArgs(const guest::ImageWords& words) {
  guest::StringMap image = words.annotations;
  image.insert(words.labels.begin(), words.labels.end());
  return guest::WantedNetworkArgs(words.pod_annotations, image);
}

}  // namespace

absl::StatusOr<Bundle> MakeBundle(const BundleInput& input) {
  const CommandLine line = ReadCommandLine(input.container, input.image.config);
  const guest::ImageWords words = WordsOf(input, line);
  ASSIGN_OR_RETURN(const UniqueFd root, OpenRoot(input.image));
  ASSIGN_OR_RETURN(const guest::FoundUnikernel found,
                   guest::FindUnikernel(root.get(), words, input.node));
  ASSIGN_OR_RETURN(
      const uint64_t memory,
      GuestMemory(input.container, input.handler, found.unikernel));
  const guest::Attachments attachments = {
      InterfacesOf(input.pod), BlockSourcesOf(input, words, root.get()),
      words.pod_annotations};
  ASSIGN_OR_RETURN(std::vector<oci::GuestDevice> devices,
                   guest::MatchDevices(found.unikernel, attachments));
  ASSIGN_OR_RETURN(const guest::NetworkArgs wanted, WantedArgs(words));
  const auto options = [&] {
    return input.options.Of(
        {input.image.id, found.path, root.get(), found.unikernel});
  };

  Bundle bundle;
  bundle.unikernel = found.path;
  bundle.target = solo5::TargetName(found.unikernel.target);
  bundle.taps = TapsOf(devices);
  bundle.notes = guest::UnusedNetworks(devices, attachments);
  oci::RuntimeSpec& spec = bundle.spec;
  // The shim is given layers beside the bundle, and puts them together there.
  spec.root_path =
      input.image.layers.empty() ? input.image.rootfs : kRootfsInBundle;
  spec.unikernel = found.path;
  spec.devices = std::move(devices);
  RETURN_IF_ERROR(guest::TellGuest(
      wanted, FactsOf(input, guest::NetworksOf(spec.devices, attachments)),
      ProgramOf(input, line), options, spec));
  spec.hostname = input.pod.config().hostname();
  spec.network_namespace = input.pod.netns_path();
  spec.cgroups_path = input.cgroup;
  const auto& resources = input.container.linux().resources();
  spec.resources = CgroupResources(resources, memory, input.handler);
  if (resources.oom_score_adj() != 0) {
    spec.oom_score_adj = static_cast<int>(resources.oom_score_adj());
  }
  spec.guest_memory = memory;
  return bundle;
}

absl::Status Resize(const state::v1::ContainerRecord& container,
                    const HandlerConfig& handler,
                    const guest::NodeTargets& node, oci::RuntimeSpec& spec) {
  Image image;
  image.rootfs = spec.root_path;
  image.layers = {container.root_layers().begin(),
                  container.root_layers().end()};
  ASSIGN_OR_RETURN(const UniqueFd root, OpenRoot(image));
  guest::ImageWords words;
  words.command = spec.unikernel;
  ASSIGN_OR_RETURN(const guest::FoundUnikernel found,
                   guest::FindUnikernel(root.get(), words, node));
  ASSIGN_OR_RETURN(const uint64_t memory,
                   GuestMemory(container.config(), handler, found.unikernel));
  spec.guest_memory = memory;
  spec.resources =
      CgroupResources(container.config().linux().resources(), memory, handler);
  return absl::OkStatus();
}

absl::Status WriteBundle(const std::string& directory,
                         const oci::RuntimeSpec& spec) {
  RETURN_IF_ERROR(MakeDirs(directory));
  const absl::Status written = WriteFileAtomic(
      SpecPath(directory), oci::ToJson(spec), 0600, Durability::kProcess);
  if (written.ok()) return written;
  return FirstError(written, RemoveTree(directory));
}

absl::StatusOr<oci::RuntimeSpec> ReadBundle(const std::string& directory) {
  const std::string path = SpecPath(directory);
  ASSIGN_OR_RETURN(const std::string json,
                   ReadFile(path, oci::kMaxRuntimeSpecBytes));
  ASSIGN_OR_RETURN(oci::RuntimeSpec spec, oci::ParseRuntimeSpec(json), path);
  return spec;
}

absl::Status RemoveBundle(const std::string& directory) {
  const std::string root = JoinPath(directory, kRootfsInBundle);
  if (::umount2(root.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 &&
      errno != EINVAL && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("umount ", root));
  }
  return RemoveTree(directory);
}

}  // namespace serai::cri
