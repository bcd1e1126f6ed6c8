// SPDX-License-Identifier: Apache-2.0
#include "shim/arguments.h"

#include <unistd.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "lib/oci/guest_arguments.h"

namespace serai::shim {
namespace {

// Hands `fd` over: "@3".
std::string Pass(int fd, TenderCommand& command) {
  const size_t number = kFirstFd + command.fds.size();
  command.fds.push_back(fd);
  return absl::StrCat("@", number);
}

void AddDevice(const oci::GuestDevice& device, int fd, TenderCommand& command) {
  const std::string passed = Pass(fd, command);
  if (device.type == oci::GuestDevice::Type::kBlock) {
    command.args.push_back(absl::StrCat("--block:", device.name, "=", passed,
                                        device.read_only ? ":ro" : ""));
    return;
  }
  command.args.push_back(absl::StrCat("--net:", device.name, "=", passed));
  if (!device.mac.empty()) {
    command.args.push_back(
        absl::StrCat("--net-mac:", device.name, "=", device.mac));
  }
  if (device.mtu != 0) {
    command.args.push_back(
        absl::StrCat("--net-mtu:", device.name, "=", device.mtu));
  }
}

}  // namespace

std::string JailOption(bool new_network_namespace) {
  const char* net = new_network_namespace ? ",net" : "";
  if (::geteuid() != 0) return absl::StrCat("--jail=user", net);
  // What costs next to nothing. A mount namespace holds a copy of every mount
  // of the node's for a moment, and the root is empty without; a PID namespace
  // would cost a second process; the network is the pod's, if there is one.
  return absl::StrCat("--jail=ipc,uts", net, ",uid=", kTenderUser,
                      ",gid=", kTenderUser);
}

absl::StatusOr<TenderCommand> MakeTenderCommand(const oci::RuntimeSpec& spec,
                                                const Guest& guest,
                                                int status_fd, int snapshots) {
  TenderCommand command;
  command.args.emplace_back("serai-tender");
  command.args.push_back(JailOption(spec.new_network_namespace));
  const bool restored = guest.snapshot.machine.valid();
  if (guest.memory_mib != 0 && !restored) {
    command.args.push_back(absl::StrCat("--mem=", guest.memory_mib));
  }
  command.args.push_back(absl::StrCat("--status=", Pass(status_fd, command)));
  if (guest.kvm.valid()) {
    command.args.push_back(
        absl::StrCat("--kvm=", Pass(guest.kvm.get(), command)));
  }
  for (size_t i = 0; i < spec.devices.size(); ++i) {
    AddDevice(spec.devices[i], guest.devices[i].get(), command);
  }
  if (snapshots >= 0) {
    command.args.push_back(
        absl::StrCat("--snapshot-to=", Pass(snapshots, command)));
  }
  if (restored) {
    // Whose memory has the unikernel and its arguments in it.
    const std::string machine = Pass(guest.snapshot.machine.get(), command);
    command.args.push_back(
        absl::StrCat("--restore-from=", machine, ":",
                     Pass(guest.snapshot.memory.get(), command)));
    return command;
  }
  command.args.emplace_back("--");
  command.args.push_back(Pass(guest.kernel.get(), command));

  const auto first = spec.args.begin() + (spec.args.empty() ? 0 : 1);
  const std::vector<std::string> told(first, spec.args.end());
  ASSIGN_OR_RETURN(
      const std::vector<std::string> line,
      spec.raw_args ? oci::RawArguments(told) : oci::EscapeArguments(told));
  command.args.insert(command.args.end(), line.begin(), line.end());
  return command;
}

}  // namespace serai::shim
