// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs one plugin (CNI specification, section 2): its file, its environment,
// its answer. Any thread.

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cni/network.h"
#include "lib/base/status.h"

namespace serai::cni {

class PluginRunner {
 public:
  PluginRunner(std::vector<std::string> bin_dirs, absl::Duration timeout);

  absl::Duration timeout() const { return timeout_; }

  // The program of plugin `type`. NOT_FOUND with the places looked at.
  absl::StatusOr<std::string> Find(const std::string& type) const;

  // Runs the plugin with `input` on stdin and returns what it printed.
  // `attachment` is null for VERSION and STATUS; `lock_fd` is that of its
  // RunLock, for ADD and DEL. Errors as Client::Add() tells them; they begin
  // with the plugin's name and the command.
  absl::StatusOr<std::string> Run(const std::string& type,
                                  const std::string& command,
                                  const Attachment* attachment,
                                  const std::string& input,
                                  int lock_fd = -1) const;

 private:
  std::vector<std::string> Environment(const std::string& command,
                                       const Attachment* attachment) const;

  const std::vector<std::string> bin_dirs_;
  const absl::Duration timeout_;
  const std::string path_;  // of the plugins' own helpers, such as iptables
};

// INVALID_ARGUMENT when the attachment can't be told to a plugin as it is.
absl::Status Validate(const Attachment& attachment);

}  // namespace serai::cni
