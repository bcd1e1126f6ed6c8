// SPDX-License-Identifier: Apache-2.0
#include "shim/guest_spec.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "lib/base/file.h"
#include "lib/base/quantity.h"
#include "lib/guest/ask_options.h"
#include "lib/guest/devices.h"
#include "lib/guest/find_unikernel.h"
#include "lib/guest/memory.h"
#include "lib/guest/network_args.h"
#include "lib/guest/node_targets.h"
#include "lib/guest/tell_guest.h"
#include "lib/oci/json_reader.h"
#include "lib/oci/rootfs.h"
#include "shim/ask_child.h"
#include "shim/log.h"
#include "shim/pod_network.h"

namespace serai::shim {
namespace {

using oci::Json;

constexpr absl::Duration kTimeout = absl::Seconds(20);
constexpr size_t kMaxUevent = 4096;
constexpr char kResolvConf[] = "/etc/resolv.conf";
constexpr size_t kMaxResolvConf = 64 * 1024;
// By containerd's CRI plugin: the pod's name.
constexpr char kSandboxNameAnnotation[] = "io.kubernetes.cri.sandbox-name";

// Annotations of the pod and of the image are one map here: whoever wrote the
// specification has put them together.
guest::ImageWords WordsOf(const oci::RuntimeSpec& spec) {
  guest::ImageWords words;
  words.pod_annotations = spec.annotations;
  words.annotations = spec.annotations;
  if (!spec.unikernel.empty()) {
    words.annotations[oci::kUnikernelAnnotation] = spec.unikernel;
  }
  words.entrypoint = spec.args;
  words.working_dir = spec.cwd;
  words.entrypoint_may_be_pods = true;
  words.speaker = "the container";
  return words;
}

// What the guest is told by the user: without args[0] where that is a program,
// the unikernel or another. As everywhere, a first word that is neither an
// absolute path nor a file's is the guest's.
std::vector<std::string> UserArgs(const oci::RuntimeSpec& spec, int root) {
  std::vector<std::string> args = spec.args;
  if (args.empty()) return args;
  const std::string& first = args.front();
  const bool is_program =
      first.rfind('/', 0) == 0 ||
      (!first.empty() &&
       oci::OpenRegularInRoot(root, JoinPath(spec.cwd, first)).ok());
  if (is_program) args.erase(args.begin());
  return args;
}

absl::StatusOr<uint64_t> MemoryOf(const oci::RuntimeSpec& spec,
                                  const solo5::Unikernel& unikernel) {
  const int64_t limit = spec.resources.memory_limit.value_or(0);
  const auto annotation = spec.annotations.find(guest::kPodAnnotationMemory);
  if (annotation != spec.annotations.end()) {
    const std::string name =
        absl::StrCat("annotation ", guest::kPodAnnotationMemory);
    ASSIGN_OR_RETURN(const int64_t wanted, ParseQuantity(annotation->second),
                     name);
    if (limit > 0 && wanted > limit) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, " of ", wanted,
          " bytes is above the container's memory limit of ", limit));
    }
    return guest::GuestMemory(wanted, name, unikernel);
  }
  return limit > 0 ? guest::GuestMemory(limit, "the memory limit", unikernel)
                   : guest::GuestMemory(guest::kDefaultMemory,
                                        "the default memory", unikernel);
}

// The node's own file of a block device that containerd names by its number. A
// path where nothing is when there is none.
std::string NodeOf(const oci::BlockDevice& device) {
  const std::string number = absl::StrCat(device.major, ":", device.minor);
  const auto uevent =
      ReadFile(absl::StrCat("/sys/dev/block/", number, "/uevent"), kMaxUevent);
  if (uevent.ok()) {
    for (absl::string_view line : absl::StrSplit(*uevent, '\n')) {
      if (!absl::ConsumePrefix(&line, "DEVNAME=")) continue;
      const std::string path = absl::StrCat("/dev/", line);
      struct stat st = {};
      if (::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode) &&
          st.st_rdev == ::makedev(device.major, device.minor)) {
        return path;
      }
    }
  }
  return absl::StrCat("/dev/block/", number);
}

// Block volumes go before mounts.
guest::BlockSources BlockSourcesOf(const oci::RuntimeSpec& spec, int root,
                                   const std::string& bundle) {
  guest::BlockSources sources;
  for (const oci::BlockDevice& device : spec.block_devices) {
    sources.volumes.push_back({device.path, NodeOf(device), device.read_only});
  }
  for (const oci::BindMount& mount : spec.mounts) {
    sources.volumes.push_back(
        {mount.destination, mount.source, mount.read_only});
  }
  sources.bundle = bundle;
  sources.pod_annotations = spec.annotations;
  sources.image_root = root;
  sources.image_words = spec.annotations;
  return sources;
}

// Whoever gives the guest's memory gives the cgroup's limit as well.
absl::Status SetMemory(const solo5::Unikernel& unikernel,
                       oci::RuntimeSpec& spec) {
  if (spec.guest_memory) return absl::OkStatus();
  ASSIGN_OR_RETURN(spec.guest_memory, MemoryOf(spec, unikernel));
  spec.resources.memory_limit =
      static_cast<int64_t>(*spec.guest_memory) + guest::kOverheadMemory;
  return absl::OkStatus();
}

// A tap for each device; on failure those that are made already are removed.
absl::StatusOr<std::vector<RecordedTap>> MakeTaps(
    const oci::RuntimeSpec& spec, const PodNetwork& network,
    const guest::Attachments& attachments) {
  std::vector<RecordedTap> taps;
  for (const oci::GuestDevice& device : spec.devices) {
    const guest::TakenInterface* const interface =
        guest::InterfaceOf(device, attachments);
    if (interface == nullptr) continue;
    absl::StatusOr<std::optional<RecordedTap>> tap =
        MakeTap(spec, network, *interface);
    if (!tap.ok()) {
      for (const RecordedTap& made : taps) RemoveTap(made).IgnoreError();
      return tap.status();
    }
    if (*tap) taps.push_back(**std::move(tap));
  }
  return taps;
}

// The nameservers of the resolv.conf that the CRI plugin has made for the pod.
// Another's may stand there: whatever it is, only addresses are taken.
std::vector<std::string> DnsServersOf(const oci::RuntimeSpec& spec) {
  std::vector<std::string> servers;
  for (const oci::BindMount& mount : spec.mounts) {
    if (mount.destination != kResolvConf) continue;
    const auto file = OpenFile(mount.source, O_RDONLY | O_NONBLOCK);
    struct stat st = {};
    if (!file.ok() || ::fstat(file->get(), &st) != 0 || !S_ISREG(st.st_mode)) {
      continue;
    }
    const auto text = ReadAll(file->get(), kMaxResolvConf);
    if (!text.ok()) continue;
    for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
      const std::vector<std::string> words =
          absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
      if (words.size() > 1 && words[0] == "nameserver" &&
          guest::IsAddress(words[1])) {
        servers.push_back(words[1]);
      }
    }
  }
  return servers;
}

guest::NetworkFacts FactsOf(const oci::RuntimeSpec& spec,
                            std::vector<guest::DeviceNetwork> devices) {
  guest::NetworkFacts facts;
  const auto name = spec.annotations.find(kSandboxNameAnnotation);
  if (name != spec.annotations.end()) facts.pod_name = name->second;
  facts.dns_servers = DnsServersOf(spec);
  facts.devices = std::move(devices);
  return facts;
}

// Not known when it can't be asked now.
guest::GuestOptions OptionsOf(const guest::FoundUnikernel& found, int root,
                              const std::string& tender) {
  const auto ask = [&]() -> absl::StatusOr<guest::GuestOptions> {
    ASSIGN_OR_RETURN(const oci::RootFile file,
                     oci::OpenRegularInRoot(root, found.path));
    return guest::AskOptions({tender, file.fd.get(), found.unikernel});
  };
  const absl::StatusOr<guest::GuestOptions> options = ask();
  if (options.ok()) return *options;
  LogWarning(absl::StrCat("asking ", found.path,
                          " for its options: ", options.status().message()));
  return guest::GuestOptions();
}

// In the child.
absl::StatusOr<CompletedSpec> Complete(oci::RuntimeSpec spec,
                                       const SpecSources& sources) {
  ASSIGN_OR_RETURN(
      const guest::FoundUnikernel found,
      guest::FindUnikernel(sources.root, WordsOf(spec), guest::ProbeNode()));
  RETURN_IF_ERROR(SetMemory(found.unikernel, spec));
  const bool wants_network = guest::WantsNetwork(found.unikernel);
  PodNetwork network;
  if (wants_network) {
    ASSIGN_OR_RETURN(network, LookAtPodNetwork(spec),
                     "the unikernel has a network device");
  }
  const guest::Attachments attachments = {
      network.interfaces, BlockSourcesOf(spec, sources.root, sources.bundle),
      spec.annotations};
  ASSIGN_OR_RETURN(spec.devices,
                   guest::MatchDevices(found.unikernel, attachments));
  ASSIGN_OR_RETURN(
      const guest::NetworkArgs wanted,
      guest::WantedNetworkArgs(spec.annotations, spec.annotations));
  const std::vector<std::string> user_args = UserArgs(spec, sources.root);
  spec.unikernel = found.path;
  RETURN_IF_ERROR(guest::TellGuest(
      wanted, FactsOf(spec, guest::NetworksOf(spec.devices, attachments)),
      {"", user_args, spec.env, spec.cwd},
      [&] { return OptionsOf(found, sources.root, sources.tender); }, spec));
  spec.complete = true;
  CompletedSpec completed;
  ASSIGN_OR_RETURN(completed.taps, MakeTaps(spec, network, attachments));
  completed.notes = guest::UnusedNetworks(spec.devices, attachments);
  completed.spec = std::move(spec);
  return completed;
}

Json ToJson(const RecordedTap& tap) {
  return {{"netns", tap.netns},
          {"netnsInode", tap.netns_inode},
          {"interface", tap.interface},
          {"name", tap.name},
          {"index", tap.index}};
}

absl::StatusOr<RecordedTap> TapFromJson(const Json& json) {
  RecordedTap tap;
  RETURN_IF_ERROR(oci::ReadString(json, "tap.", "netns", tap.netns));
  RETURN_IF_ERROR(
      oci::ReadInteger<uint64_t>(json, "tap.", "netnsInode", tap.netns_inode));
  RETURN_IF_ERROR(oci::ReadString(json, "tap.", "interface", tap.interface));
  RETURN_IF_ERROR(oci::ReadString(json, "tap.", "name", tap.name));
  RETURN_IF_ERROR(oci::ReadInteger<uint32_t>(json, "tap.", "index", tap.index));
  return tap;
}

// What the child says: the specification as a config.json, so that it is
// checked as one, and the taps. Nothing that the parent has anyway.
std::string ToReport(CompletedSpec completed) {
  completed.spec.annotations.clear();
  completed.spec.mounts.clear();
  completed.spec.env.clear();
  completed.spec.block_devices.clear();
  Json report = {{"spec", oci::ToJson(completed.spec)},
                 {"taps", Json::array()},
                 {"notes", absl::StrJoin(completed.notes, "\n")}};
  for (const RecordedTap& tap : completed.taps) {
    report["taps"].push_back(ToJson(tap));
  }
  return oci::Dump(report, -1);
}

absl::StatusOr<CompletedSpec> FromReport(const std::string& text) {
  const Json report = oci::ParseJson(text).value_or(Json());
  if (!report.is_object()) return oci::Bad("the report", "is not an object");
  std::string config;
  RETURN_IF_ERROR(oci::ReadString(report, "", "spec", config));
  CompletedSpec completed;
  ASSIGN_OR_RETURN(completed.spec, oci::ParseRuntimeSpec(config));
  const auto taps = report.find("taps");
  if (taps == report.end() || !taps->is_array()) {
    return oci::Bad("taps", "is not a list");
  }
  for (const Json& each : *taps) {
    if (!each.is_object()) return oci::Bad("taps", "holds what is no object");
    ASSIGN_OR_RETURN(RecordedTap tap, TapFromJson(each));
    completed.taps.push_back(std::move(tap));
  }
  std::string notes;
  RETURN_IF_ERROR(oci::ReadString(report, "", "notes", notes));
  completed.notes = absl::StrSplit(notes, '\n', absl::SkipEmpty());
  return completed;
}

// After a child that has not told what it made.
void CleanUpAfterChild(const oci::RuntimeSpec& spec) {
  if (spec.network_namespace.empty()) return;
  const absl::Status removed = RemoveIdleTaps(spec);
  if (!removed.ok()) LogWarning(removed.message());
}

}  // namespace

absl::StatusOr<CompletedSpec> CompleteSpec(const oci::RuntimeSpec& spec,
                                           const SpecSources& sources) {
  const auto work = [&]() -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(CompletedSpec completed, Complete(spec, sources));
    return ToReport(std::move(completed));
  };
  const absl::StatusOr<std::string> report = AskChild(work, kTimeout);
  absl::StatusOr<CompletedSpec> completed =
      report.ok() ? FromReport(*report) : report.status();
  if (absl::IsInternal(completed.status()) ||
      absl::IsDeadlineExceeded(completed.status())) {
    CleanUpAfterChild(spec);
  }
  if (!completed.ok()) {
    return FirstError(completed.status(), RemoveImages(sources.bundle));
  }
  completed->spec.annotations = spec.annotations;
  for (const std::string& note : completed->notes) LogWarning(note);
  return completed;
}

absl::Status RemoveImages(const std::string& bundle) {
  return RemoveTree(JoinPath(bundle, guest::kImagesInBundle));
}

}  // namespace serai::shim
