// SPDX-License-Identifier: Apache-2.0
#include "tests/support/own_machine.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

// Reaps what has ended, up to the daemon, which the node reaps.
void ReapOrphans(pid_t daemon) {
  for (;;) {
    siginfo_t ended = {};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        ended.si_pid == 0 || ended.si_pid == daemon) {
      return;
    }
    ::waitpid(ended.si_pid, nullptr, 0);
  }
}

// seraid is the node's own, and a new one after each crash.
std::vector<std::string> Programs() {
  const std::string bin = JoinPath(BuildDir(), "bin");
  return {JoinPath(bin, "containerd-shim-serai-v2"),
          JoinPath(bin, "serai-tender")};
}

ino_t MountNamespaceOf(absl::string_view process) {
  struct stat st = {};
  const std::string path = absl::StrCat("/proc/", process, "/ns/mnt");
  return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

}  // namespace

LeakWatch::LeakWatch(const TestNode& node)
    : node_(node),
      before_(Take({node.root(), node.state(), node.ipam_dir()}, Programs())) {}

bool LeakWatch::IsOurs(absl::string_view change) const {
  // What unikernels answered stays as long as their images.
  if (absl::StrContains(change, node_.root() + "/options")) return false;
  if (absl::StrContains(change, " cgroup ")) {
    return absl::StrContains(change, node_.cgroup_parent());
  }
  // Copies of others' mounts go when theirs do.
  if (absl::StrContains(change, " mount ") ||
      absl::StrContains(change, " netns ")) {
    return absl::StrContains(change, node_.directory());
  }
  if (absl::StrContains(change, " process ")) {
    const absl::string_view pid = change.substr(change.rfind(' ') + 1);
    return MountNamespaceOf(pid) == MountNamespaceOf("self");
  }
  return true;
}

std::vector<std::string> LeakWatch::Leaks() const {
  const absl::Time deadline = absl::Now() + kPatience;
  std::vector<std::string> leaks;
  do {
    leaks.clear();
    ReapOrphans(node_.pid());
    for (std::string& change : ChangesSince(before_, absl::Milliseconds(200))) {
      if (IsOurs(change)) leaks.push_back(std::move(change));
    }
  } while (!leaks.empty() && absl::Now() < deadline);
  return leaks;
}

void OwnMachineTest::SetUp() {
  SERAI_NEED("root");
  SERAI_NEED("net");
  ASSERT_OK(EnterOwnMachine());
  node_ = std::make_unique<TestNode>(Options());
  node_->Start();
  for (const char* target : {"hvt", "spt"}) {
    if (absl::string_view(target) == "hvt" && Lacks("kvm")) {
      ASSERT_FALSE(Required("kvm")) << *Lacks("kvm");
      continue;
    }
    for (const char* guest : {"web", "exit"}) {
      ASSERT_OK_AND_ASSIGN(
          std::string image,
          node_->LoadGuests(absl::StrCat(guest, "-", target),
                            {absl::StrCat(guest, ".", target)}));
      (absl::string_view(guest) == "web" ? web_ : exit_)
          .push_back(std::move(image));
    }
  }
}

const std::string& OwnMachineTest::Web(int turn) const {
  return web_[static_cast<size_t>(turn) % web_.size()];
}

const std::string& OwnMachineTest::Exit(int turn) const {
  return exit_[static_cast<size_t>(turn) % exit_.size()];
}

void OwnMachineTest::WarmUp() {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("warm-up", Web(0)));
  ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  ASSERT_OK(node_->RemovePod(run.pod));
}

pid_t OwnMachineTest::OnlyProcessOf(const std::string& id) const {
  const auto hierarchy = host::CgroupHierarchy::Detect();
  if (!hierarchy.ok()) return 0;
  const auto cgroup =
      host::Cgroup::Open(*hierarchy, JoinPath(node_->cgroup_parent(), id));
  if (!cgroup.ok()) return 0;
  const auto processes = cgroup->Processes();
  return processes.ok() && processes->size() == 1 ? processes->front() : 0;
}

pid_t OwnMachineTest::ShimOf(const TestNode::Running& run) const {
  return OnlyProcessOf(run.pod);
}

pid_t OwnMachineTest::TenderOf(const TestNode::Running& run) const {
  return OnlyProcessOf(run.container);
}

}  // namespace serai::testing
