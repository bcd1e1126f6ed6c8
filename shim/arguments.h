// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tender's command line, for a guest whose files are open.

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/runtime_spec.h"
#include "shim/guest.h"

namespace serai::shim {

// The first descriptor after stdin, stdout and stderr.
inline constexpr int kFirstFd = 3;

// The user that all tenders of a shim run as that is root. Nobody's: no program
// has it by default, as many have 65534, and no range that is handed out for
// namespaces holds it. To do anything to another tender one would need calls
// that its filter forbids.
inline constexpr uid_t kTenderUser = 65533;

struct TenderCommand {
  std::vector<std::string> args;  // with argv[0]
  // The tender's descriptors kFirstFd, kFirstFd + 1, …; borrowed from the
  // guest.
  std::vector<int> fds;
};

// The jail that the tender locks itself in. A shim that is not root's has a
// namespace of its own made for that, in which it may.
std::string JailOption(bool new_network_namespace);

// `status_fd` takes the lines that tell how the guest ended.  `snapshots` is
// the socket that directories for snapshots come by; -1: none are taken.
// INVALID_ARGUMENT when the guest's arguments, escaped and joined by spaces,
// are longer than the 8191 bytes that a guest has room for.
absl::StatusOr<TenderCommand> MakeTenderCommand(const oci::RuntimeSpec& spec,
                                                const Guest& guest,
                                                int status_fd, int snapshots);

}  // namespace serai::shim
