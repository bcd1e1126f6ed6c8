// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a process in a jail is, seen from outside.

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/unique_fd.h"

namespace serai::testing {

// The path of a file about `pid` in /proc.
std::string Proc(pid_t pid, const std::string& file);

std::string Contents(const std::string& path);
std::string LinkTo(const std::string& path);
std::vector<std::string> Names(const std::string& directory);

// The words behind "NAME:" in a process's status.
std::string StatusOf(pid_t pid, const std::string& name);

// The only child of `pid`; 0 where there is none.
pid_t ChildOf(pid_t pid);

UniqueFd OpenPidfd(pid_t pid);

// Whether it does; if not, it is killed.
bool EndsSoon(const UniqueFd& pidfd);

// No capabilities, no way to any, no files.
void ExpectNoRights(pid_t pid);

struct User {
  std::string uid = "0";
  std::string gid = "0";
  std::string groups = {};  // the supplementary ones
};
void ExpectUser(pid_t pid, const User& user);

}  // namespace serai::testing
