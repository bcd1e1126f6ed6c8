// SPDX-License-Identifier: Apache-2.0
#include "shim/pod_network.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/interface.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "shim/ask_child.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxMountInfo = 16 << 20;
constexpr absl::Duration kRemoveTimeout = absl::Seconds(4);

absl::StatusOr<uint64_t> InodeOf(int fd) {
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return ErrnoStatus(errno, "fstat");
  return static_cast<uint64_t>(st.st_ino);
}

absl::StatusOr<UniqueFd> OpenPodNetns(const oci::RuntimeSpec& spec) {
  if (spec.network_namespace.empty()) {
    return absl::FailedPreconditionError(
        spec.new_network_namespace
            ? "the container's network namespace is a new one without an "
              "interface; give it one that has an interface "
              "(ctr run --with-ns network:/run/netns/NAME)"
            : "the container is in the host's network, and a unikernel takes "
              "over an interface; run it in a pod network of its own");
  }
  absl::StatusOr<UniqueFd> netns = host::OpenNetns(spec.network_namespace);
  if (netns.ok()) return netns;
  return absl::FailedPreconditionError(
      absl::StrCat("the pod's network namespace: ", netns.status().message()));
}

// In mountinfo a space, a tab, a newline and a backslash are "\040" and so on.
std::string Unescape(absl::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || text.size() - i < 4) {
      plain.push_back(text[i]);
      continue;
    }
    plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 +
                                      (text[i + 2] - '0') * 8 + text[i + 3] -
                                      '0'));
    i += 3;
  }
  return plain;
}

// Where the namespace is mounted, by the CNI side: that outlives the process
// whose /proc/PID/ns/net containerd names. `path` itself when it is nowhere.
std::string LastingPath(const std::string& path, uint64_t inode) {
  if (!absl::StartsWith(path, "/proc/")) return path;
  const auto mounts = ReadFile("/proc/self/mountinfo", kMaxMountInfo);
  if (!mounts.ok()) return path;
  const std::string wanted = absl::StrCat("net:[", inode, "]");
  for (const absl::string_view line : absl::StrSplit(*mounts, '\n')) {
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line, absl::MaxSplits(' ', 5));
    if (fields.size() > 5 && fields[3] == wanted) return Unescape(fields[4]);
  }
  return path;
}

absl::Status Taken(const std::string& interface) {
  return absl::FailedPreconditionError(
      absl::StrCat("the pod's interface ", interface,
                   " is another container's: one container of a pod can have "
                   "it"));
}

guest::TakenInterface AsTaken(const host::Interface& interface, size_t number) {
  guest::TakenInterface taken = {
      interface.name,
      interface.tap.empty() ? host::TapName(number) : interface.tap,
      interface.mac,
      interface.mtu,
      {},
      interface.tap_on_node,
      !interface.tap.empty()};
  for (const host::InterfaceAddress& address : interface.addresses) {
    taken.addresses.push_back(
        {address.address, address.prefix_length, address.gateway});
  }
  return taken;
}

host::TapSpec SpecOf(const guest::TakenInterface& interface) {
  host::TapSpec spec = {interface.name, interface.tap};
  for (const guest::NetworkAddress& address : interface.addresses) {
    spec.addresses.push_back(address.address);
  }
  return spec;
}

// A plugin's tap: nothing to be removed later.
absl::StatusOr<std::optional<RecordedTap>> Adopt(
    const PodNetwork& network, const guest::TakenInterface& interface) {
  host::TapSpec spec = SpecOf(interface);
  const absl::Status adopted =
      host::AdoptTap(network.netns.get(), spec).status();
  if (absl::IsFailedPrecondition(adopted) &&
      absl::StrContains(adopted.message(), "in use")) {
    return Taken(interface.name);
  }
  RETURN_IF_ERROR(adopted);
  return std::nullopt;
}

}  // namespace

absl::StatusOr<PodNetwork> LookAtPodNetwork(const oci::RuntimeSpec& spec) {
  PodNetwork network;
  ASSIGN_OR_RETURN(network.netns, OpenPodNetns(spec));
  const absl::StatusOr<std::vector<host::Interface>> found =
      host::ListInterfaces(network.netns.get());
  if (!found.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the pod's network namespace ", spec.network_namespace,
                     ": ", found.status().message()));
  }
  for (const host::Interface& interface : *found) {
    network.interfaces.push_back(AsTaken(interface, network.interfaces.size()));
  }
  return network;
}

absl::StatusOr<std::optional<RecordedTap>> MakeTap(
    const oci::RuntimeSpec& spec, const PodNetwork& network,
    const guest::TakenInterface& interface) {
  if (interface.tap_on_node) return std::nullopt;
  const host::TapSpec wanted = SpecOf(interface);
  if (interface.tap_of_plugin) return Adopt(network, interface);
  ASSIGN_OR_RETURN(const uint64_t inode, InodeOf(network.netns.get()));
  absl::StatusOr<host::Tap> tap = host::CreateTap(network.netns.get(), wanted);
  if (absl::IsAlreadyExists(tap.status())) {
    const absl::Status removed =
        host::RemoveIdleTap(network.netns.get(), wanted);
    if (absl::IsFailedPrecondition(removed)) return Taken(interface.name);
    RETURN_IF_ERROR(removed);
    tap = host::CreateTap(network.netns.get(), wanted);
  }
  RETURN_IF_ERROR(tap.status());
  RecordedTap made;
  made.netns = LastingPath(spec.network_namespace, inode);
  made.netns_inode = inode;
  made.interface = interface.name;
  made.name = interface.tap;
  made.index = static_cast<uint32_t>(tap->index);
  return std::optional(std::move(made));
}

absl::Status RemoveTap(const RecordedTap& tap) {
  const absl::StatusOr<UniqueFd> netns = OpenFile(tap.netns, O_RDONLY);
  // With the namespace goes all that was in it.
  if (absl::IsNotFound(netns.status())) return absl::OkStatus();
  RETURN_IF_ERROR(netns.status());
  ASSIGN_OR_RETURN(const uint64_t inode, InodeOf(netns->get()));
  // What stands there now is something else.
  if (inode != tap.netns_inode) return absl::OkStatus();
  const auto remove = [&]() -> absl::StatusOr<std::string> {
    RETURN_IF_ERROR(host::RemoveTap(netns->get(), {tap.interface, tap.name},
                                    static_cast<int>(tap.index)));
    return "";
  };
  return AskChild(remove, kRemoveTimeout).status();
}

absl::Status RemoveIdleTaps(const oci::RuntimeSpec& spec) {
  const auto remove = [&]() -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const PodNetwork network, LookAtPodNetwork(spec));
    absl::Status status;
    for (const guest::TakenInterface& interface : network.interfaces) {
      if (interface.tap_of_plugin) continue;
      const absl::Status removed =
          host::RemoveIdleTap(network.netns.get(), SpecOf(interface));
      if (!absl::IsFailedPrecondition(removed)) {
        status = FirstError(status, removed);
      }
    }
    RETURN_IF_ERROR(status);
    return "";
  };
  return AskChild(remove, kRemoveTimeout).status();
}

}  // namespace serai::shim
