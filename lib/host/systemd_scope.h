// SPDX-License-Identifier: Apache-2.0
#pragma once

// Transient scopes of systemd: cgroups that systemd makes and keeps account of,
// for nodes where the kubelet and containerd use its cgroup driver
// (org.freedesktop.systemd1(5), systemd.resource-control(5)). A scope lives as
// long as it has a process, and is forgotten when it ends, however it does.
//
// systemd is asked by its own busctl, which every machine with it has. Calls
// block, for some ten milliseconds or until the time limit: a program with a
// loop makes them in a child. Any thread, but the program must have no other
// way of reaping children than by their pid.

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"

namespace serai::host {

struct ScopeSpec {
  std::string unit;   // "cri-containerd-ID.scope"
  std::string slice;  // "kubepods-podX.slice"; one that is missing is made
  pid_t pid = 0;      // the first process in it
  // What systemd has properties for on this cgroup version.
  CgroupLimits limits;
};

// INVALID_ARGUMENT when systemd could have no scope of this name.
absl::Status CheckScopeName(absl::string_view unit);

class SystemdScopes {
 public:
  struct Options {
    std::string busctl = "/usr/bin/busctl";
    absl::Duration timeout = absl::Seconds(5);  // of each call
  };

  explicit SystemdScopes(bool is_v2) : SystemdScopes(is_v2, Options()) {}
  SystemdScopes(bool is_v2, Options options)
      : is_v2_(is_v2), options_(std::move(options)) {}

  // Makes the scope with the process in it. Returns the cgroup's path once the
  // kernel says that the process is there. A unit of this name that has failed
  // is replaced. UNAVAILABLE, with what systemd said, when it refuses or can't
  // be asked; DEADLINE_EXCEEDED when it takes too long.
  absl::StatusOr<std::string> Start(const ScopeSpec& spec) const;

  // Has systemd know the limits, so that it does not put its own back when it
  // is reloaded. Those it has no property for are left out.
  absl::Status SetLimits(const std::string& unit,
                         const CgroupLimits& limits) const;

  // Ends and forgets the scope, without waiting for its end; what is still in
  // it gets SIGTERM. One that is not there is success.
  absl::Status Stop(const std::string& unit) const;

 private:
  absl::StatusOr<std::string> Call(const std::string& method,
                                   std::vector<std::string> arguments) const;

  bool is_v2_;
  Options options_;
};

}  // namespace serai::host
