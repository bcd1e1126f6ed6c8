// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/jail/inspection.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"

namespace serai::testing {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;

// Empty, or not to be looked into at all; and nothing can be made there.
void ExpectEmptyForGood(const std::string& directory) {
  if (DIR* const open = ::opendir(directory.c_str()); open != nullptr) {
    ::closedir(open);
    EXPECT_THAT(Names(directory), IsEmpty());
  } else {
    EXPECT_THAT(errno, AnyOf(ENOENT, ESRCH)) << directory;
  }
  EXPECT_EQ(::mkdir((directory + "made").c_str(), 0700), -1);
  EXPECT_THAT(errno, AnyOf(EROFS, EPERM, ENOENT, ESRCH)) << directory;
}

}  // namespace

std::string Proc(pid_t pid, const std::string& file) {
  return absl::StrCat("/proc/", pid, "/", file);
}

std::string Contents(const std::string& path) {
  const auto text = ReadFile(path, 1 << 20);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

std::string LinkTo(const std::string& path) {
  char target[256] = {};
  const ssize_t n = ::readlink(path.c_str(), target, sizeof(target) - 1);
  return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}

std::string StatusOf(pid_t pid, const std::string& name) {
  for (absl::string_view line :
       absl::StrSplit(Contents(Proc(pid, "status")), '\n')) {
    if (!absl::ConsumePrefix(&line, name + ":")) continue;
    return std::string(absl::StripAsciiWhitespace(line));
  }
  return "(not there)";
}

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const open = ::opendir(directory.c_str());
  EXPECT_NE(open, nullptr) << directory;
  if (open == nullptr) return names;
  while (const dirent* entry = ::readdir(open)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(open);
  return names;
}

pid_t ChildOf(pid_t pid) {
  int child = 0;
  const std::string children =
      Contents(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
  [[maybe_unused]] const bool found =
      absl::SimpleAtoi(absl::StripAsciiWhitespace(children), &child);
  return child;
}

UniqueFd OpenPidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool EndsSoon(const UniqueFd& pidfd) {
  pollfd ended = {pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, 10'000) == 1) return true;
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  return false;
}

void ExpectNoRights(pid_t pid) {
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(StatusOf(pid, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusOf(pid, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusOf(pid, "Seccomp"), "2");
  ExpectEmptyForGood(Proc(pid, "root/"));
  ExpectEmptyForGood(Proc(pid, "cwd/"));
}

// Real, effective, saved and of the file system.
void ExpectUser(pid_t pid, const User& user) {
  const auto four = [](const std::string& id) {
    return absl::StrCat(id, "\t", id, "\t", id, "\t", id);
  };
  EXPECT_EQ(StatusOf(pid, "Uid"), four(user.uid));
  EXPECT_EQ(StatusOf(pid, "Gid"), four(user.gid));
  EXPECT_EQ(StatusOf(pid, "Groups"), user.groups);
}

}  // namespace serai::testing
