// SPDX-License-Identifier: Apache-2.0
#include "shim/arguments.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace serai::shim {
namespace {

// Without the terminating NUL.
constexpr size_t kMaxGuestArguments = solo5::kMaxCommandLine - 1;

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

std::string EscapeArgument(absl::string_view argument) {
  if (argument.empty()) return "\"\"";
  std::string escaped;
  for (const char c : argument) {
    if (c == ' ' || c == '"' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

absl::StatusOr<TenderCommand> MakeTenderCommand(const oci::RuntimeSpec& spec,
                                                const Guest& guest) {
  TenderCommand command;
  command.args.emplace_back("serai-tender");
  if (guest.memory_mib != 0) {
    command.args.push_back(absl::StrCat("--mem=", guest.memory_mib));
  }
  if (guest.kvm.valid()) {
    command.args.push_back(
        absl::StrCat("--kvm=", Pass(guest.kvm.get(), command)));
  }
  for (size_t i = 0; i < spec.devices.size(); ++i) {
    AddDevice(spec.devices[i], guest.devices[i].get(), command);
  }
  command.args.emplace_back("--");
  command.args.push_back(Pass(guest.kernel.get(), command));

  size_t length = 0;
  for (size_t i = 1; i < spec.args.size(); ++i) {
    command.args.push_back(EscapeArgument(spec.args[i]));
    length += command.args.back().size() + (i > 1 ? 1 : 0);
  }
  if (length > kMaxGuestArguments) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the unikernel's arguments are ", length,
        " characters long; there is room for ", kMaxGuestArguments));
  }
  return command;
}

}  // namespace serai::shim
