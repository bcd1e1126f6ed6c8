// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the control groups of pods and containers are. With the cgroupfs driver
// each is a directory that we make; with systemd's each is a transient scope in
// a slice of kubelet's, which systemd makes with its first process, and whose
// name ends in ".scope". What a record says of a path is enough to tell which
// of the two it is, also after the driver was changed
// (docs/adr/0011-systemd-by-busctl.md). Any thread.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cri/config/config.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

// The path of the group `id` in a parent of the CRI's form: a path, or, with
// systemd's driver, a slice's name. Empty: in the configured parent.
// INVALID_ARGUMENT for a parent of the other driver's form.
absl::StatusOr<std::string> CgroupPath(const Config::Cgroup& config,
                                       const std::string& parent,
                                       const std::string& id);

// The group `id` beside another one.
std::string CgroupBeside(const std::string& path, const std::string& id);

bool IsScope(absl::string_view path);

// As the shim is told: a path, or "SLICE:PREFIX:NAME" of a scope.
std::string CgroupsPathOf(const std::string& path);

// On v1: takes a scope's processes into the trees that systemd does not know,
// where the group has been made.
absl::Status SpreadScope(const host::Cgroup& cgroup);

// Has systemd know limits that a scope was given, so that it does not put its
// own back when it is reloaded. Nothing for a group of ours.
absl::Status TellSystemd(const host::CgroupHierarchy& hierarchy,
                         const std::string& path,
                         const host::CgroupLimits& limits);

// Ends what is in the group and removes it, and `made` where nobody uses it. A
// group that is not there is success.
absl::Status DestroyCgroupAt(const host::CgroupHierarchy& hierarchy,
                             const std::string& path,
                             const std::vector<std::string>& made);

}  // namespace serai::cri
