// SPDX-License-Identifier: Apache-2.0
#include "tests/support/leak.h"

#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"

namespace serai::testing {
namespace {

constexpr size_t kProcFileMaxBytes = 16 * 1024 * 1024;
// The kernel keeps this much of a command's name.
constexpr size_t kCommandLength = 15;
constexpr absl::Duration kLookAgainAfter = absl::Milliseconds(50);

using Names = std::multiset<std::string>;

std::string Content(const std::string& path) {
  const auto content = ReadFile(path, kProcFileMaxBytes);
  return content.ok() ? *content : std::string();
}

struct MountPoint {
  std::string root;  // of the mounted file system: "net:[4026]" for a namespace
  std::string path;
  std::string type;
};

// proc(5): "ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAGS…] - TYPE SOURCE …".
std::vector<MountPoint> MountPoints() {
  std::vector<MountPoint> mounts;
  const std::string table = Content("/proc/thread-self/mountinfo");
  for (const absl::string_view line :
       absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<std::string> fields = absl::StrSplit(halves[0], ' ');
    if (halves.size() < 2 || fields.size() < 5) continue;
    mounts.push_back(
        {fields[3], fields[4], halves[1].substr(0, halves[1].find(' '))});
  }
  return mounts;
}

void WalkInto(const std::string& dir, bool only_dirs, Names& names) {
  const auto entries = ListDir(dir);
  if (!entries.ok()) return;
  for (const std::string& entry : *entries) {
    const std::string path = JoinPath(dir, entry);
    struct stat st = {};
    const bool is_dir = ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    if (is_dir || !only_dirs) names.insert(path);
    if (is_dir) WalkInto(path, only_dirs, names);
  }
}

Names Links() {
  Names names;
  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)>
      links(::if_nameindex(), &::if_freenameindex);
  if (links == nullptr) return names;
  for (const struct if_nameindex* link = links.get(); link->if_index != 0;
       ++link) {
    names.insert(link->if_name);
  }
  return names;
}

void RulesInto(const std::string& program, const std::string& table,
               Names& names) {
  if (::access(program.c_str(), X_OK) != 0) return;
  SubprocessSpec spec;
  spec.program = program;
  spec.args = {"-t", table};
  const auto result = RunSubprocess(spec);
  if (!result.ok() || result->exit_code != 0) return;
  for (const absl::string_view line :
       absl::StrSplit(result->output, '\n', absl::SkipEmpty())) {
    if (line[0] != ':' && line[0] != '-') continue;
    // ":CHAIN POLICY [PACKETS:BYTES]"
    const std::string rule(line[0] == ':' ? line.substr(0, line.find(" ["))
                                          : line);
    names.insert(absl::StrCat(program, " ", table, " ", rule));
  }
}

// What program of `programs` the process runs, or ran as a zombie; empty:
// another.
std::string ProgramOf(const std::string& proc_dir,
                      const std::vector<std::string>& programs) {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t length = ::readlink(JoinPath(proc_dir, "exe").c_str(),
                                    buffer.data(), buffer.size());
  if (length > 0) {
    absl::string_view exe(buffer.data(), static_cast<size_t>(length));
    absl::ConsumeSuffix(&exe, " (deleted)");
    const auto found = std::find(programs.begin(), programs.end(), exe);
    return found == programs.end() ? std::string() : *found;
  }
  // A zombie has no executable any more, but still a name.
  const std::string stat = Content(JoinPath(proc_dir, "stat"));
  for (const std::string& program : programs) {
    const std::string base = program.substr(program.rfind('/') + 1);
    if (absl::StrContains(
            stat, absl::StrCat("(", base.substr(0, kCommandLength), ") Z"))) {
      return absl::StrCat(program, " (zombie)");
    }
  }
  return "";
}

Names Processes(const std::vector<std::string>& programs) {
  Names names;
  const auto entries = ListDir("/proc");
  if (!entries.ok()) return names;
  for (const std::string& entry : *entries) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry, &pid)) continue;
    const std::string program = ProgramOf(JoinPath("/proc", entry), programs);
    if (!program.empty()) names.insert(absl::StrCat(program, " pid ", pid));
  }
  return names;
}

}  // namespace

Snapshot Take(std::vector<std::string> dirs,
              std::vector<std::string> programs) {
  Snapshot snapshot{std::move(dirs), std::move(programs), {}};
  for (const MountPoint& mount : MountPoints()) {
    snapshot.objects["mount"].insert(
        absl::StrCat(mount.path, " (", mount.type, ")"));
    if (mount.type == "nsfs" && absl::StartsWith(mount.root, "net:")) {
      snapshot.objects["netns"].insert(
          absl::StrCat(mount.path, " ", mount.root));
    }
    if (mount.type == "cgroup" || mount.type == "cgroup2") {
      WalkInto(mount.path, /*only_dirs=*/true, snapshot.objects["cgroup"]);
    }
  }
  snapshot.objects["link"] = Links();
  for (const char* program :
       {"/usr/sbin/iptables-save", "/usr/sbin/ip6tables-save"}) {
    for (const char* table : {"filter", "nat"}) {
      RulesInto(program, table, snapshot.objects["rule"]);
    }
  }
  snapshot.objects["process"] = Processes(snapshot.programs);
  for (const std::string& dir : snapshot.dirs) {
    WalkInto(dir, /*only_dirs=*/false, snapshot.objects["file"]);
  }
  return snapshot;
}

std::vector<std::string> Diff(const Snapshot& before, const Snapshot& after) {
  std::vector<std::string> differences;
  const auto report = [&](const Snapshot& those_of, const Snapshot& but_not_of,
                          const char* sign) {
    for (const auto& [kind, names] : those_of.objects) {
      const auto found = but_not_of.objects.find(kind);
      const Names others =
          found == but_not_of.objects.end() ? Names() : found->second;
      std::vector<std::string> only;
      std::set_difference(names.begin(), names.end(), others.begin(),
                          others.end(), std::back_inserter(only));
      for (const std::string& name : only) {
        differences.push_back(absl::StrCat(sign, " ", kind, " ", name));
      }
    }
  };
  report(after, before, "+");
  report(before, after, "-");
  return differences;
}

std::vector<std::string> ChangesSince(const Snapshot& before,
                                      absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    std::vector<std::string> changes =
        Diff(before, Take(before.dirs, before.programs));
    if (changes.empty() || absl::Now() >= deadline) return changes;
    absl::SleepFor(kLookAgainAfter);
  }
}

}  // namespace serai::testing
