// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a pod's shim listens: a socket in a directory that only root may enter,
// named after the pod, so that whoever looks for the shim of a pod finds the
// same one.

#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::shim {

// The file in a bundle that a shim's address is noted in.
inline constexpr char kAddressFile[] = "address";

// The directory: the first of the two that is not empty, else /run/serai/s.
std::string SocketDirectory(const std::string& from_environment,
                            const std::string& from_caller);

// The socket's path: DIR/NAMESPACE-ID.sock, with a hash in place of the end of
// an id that is too long for an address of 107 characters. `client` is the
// address of the containerd that has the pod: two may have pods of the same
// name; it is in the hash, and empty for seraid. The names are checked ones
// (options.h). INVALID_ARGUMENT when the directory's path leaves no room.
absl::StatusOr<std::string> SocketPath(const std::string& directory,
                                       const std::string& namespace_name,
                                       const std::string& id,
                                       const std::string& client = "");

// Makes the directory, 0700, where it is missing, and holds the lock on it that
// start and delete take turns by. PERMISSION_DENIED when others may enter it.
absl::StatusOr<UniqueFd> LockSocketDirectory(const std::string& directory);

// Whether someone listens at `path`.
absl::StatusOr<bool> IsServed(const std::string& path);

// A non-blocking socket that listens at `path`, where nobody else does. A
// socket that a dead shim left there is replaced. The lock must be held.
absl::StatusOr<UniqueFd> ListenAt(const std::string& path);

}  // namespace serai::shim
