// SPDX-License-Identifier: Apache-2.0
#include "lib/host/cgroup_membership.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"

namespace serai::host {
namespace {

constexpr size_t kMaxBytes = 256 * 1024;

}  // namespace

absl::StatusOr<CgroupMembership> CgroupMembership::Of(pid_t pid) {
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile(absl::StrCat("/proc/", pid, "/cgroup"), kMaxBytes));
  return Parse(text);
}

CgroupMembership CgroupMembership::Parse(absl::string_view text) {
  CgroupMembership membership;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    // "ID:CONTROLLER,CONTROLLER:PATH": the path may have colons.
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3 || !absl::StartsWith(fields[2], "/")) continue;
    for (const absl::string_view controller : absl::StrSplit(fields[1], ',')) {
      membership.paths_.emplace(std::string(controller), fields[2]);
    }
  }
  return membership;
}

std::string CgroupMembership::PathOf(const std::string& controller) const {
  const auto found = paths_.find(controller);
  return found == paths_.end() ? std::string() : found->second;
}

}  // namespace serai::host
