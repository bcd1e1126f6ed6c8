// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/bad_input.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/oci/archive.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kLookAgainAfter = absl::Milliseconds(50);

absl::Status BringLoopbackUp() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  ifreq request = {};
  absl::string_view("lo").copy(request.ifr_name, sizeof(request.ifr_name) - 1);
  request.ifr_flags = IFF_UP;
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "bringing lo up");
}

// Threads inherit the namespaces, so this comes before the first of them.
absl::Status EnterOwnNamespaces() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    return ErrnoStatus(errno, "unshare");
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoStatus(errno, "making mounts private");
  }
  return BringLoopbackUp();
}

ino_t MountNamespaceOf(const std::string& process) {
  struct stat st = {};
  const std::string path = absl::StrCat("/proc/", process, "/ns/mnt");
  return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

template <typename Predicate>
void Keep(std::multiset<std::string>& names, Predicate wanted) {
  std::erase_if(names, [&](const std::string& name) { return !wanted(name); });
}

}  // namespace

void BadInputTest::SetUp() {
  SERAI_NEED("root");
  SERAI_NEED("net");
  static const absl::Status entered = EnterOwnNamespaces();
  ASSERT_OK(entered);
}

void BadInputTest::StartNode(NodeOptions options) {
  node_ = std::make_unique<TestNode>(std::move(options));
  ASSERT_NO_FATAL_FAILURE(node_->Start());
  WarmUp();
}

void BadInputTest::WarmUp() {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("warm-up"));
  ASSERT_OK(node_->RemovePod(pod));
}

Snapshot BadInputTest::Look() const {
  const std::string bin = JoinPath(BuildDir(), "bin");
  Snapshot snapshot =
      Take({node_->root(), node_->state(), node_->ipam_dir()},
           {JoinPath(bin, "seraid"), JoinPath(bin, "containerd-shim-serai-v2"),
            JoinPath(bin, "serai-tender")});
  // There is but one tree of cgroups and of processes for all.
  Keep(snapshot.objects["cgroup"], [this](const std::string& path) {
    return absl::StrContains(path, node_->cgroup_parent() + "/");
  });
  const ino_t own = MountNamespaceOf("self");
  Keep(snapshot.objects["process"], [own](const std::string& name) {
    const std::string pid = name.substr(name.rfind(' ') + 1);
    return MountNamespaceOf(pid) == own;
  });
  return snapshot;
}

void BadInputTest::Mark() { before_ = Look(); }

void BadInputTest::ExpectNothingNew() {
  const absl::Time deadline = absl::Now() + kPatience;
  std::vector<std::string> changes = Diff(before_, Look());
  while (!changes.empty() && absl::Now() < deadline) {
    absl::SleepFor(kLookAgainAfter);
    changes = Diff(before_, Look());
  }
  EXPECT_THAT(changes, IsEmpty());
}

absl::StatusOr<std::string> BadInputTest::Load(const std::string& name,
                                               const ImageBuilder& image) {
  const TempDir scratch;
  ASSIGN_OR_RETURN(const oci::Layout layout,
                   oci::Layout::Create(scratch / "layout"));
  RETURN_IF_ERROR(
      layout.AddManifest(image.Build(layout).descriptor,
                         absl::StrCat("localhost/", name, ":latest")));
  return node_->LoadLayout(layout);
}

absl::StatusOr<std::string> BadInputTest::LogOf(const std::string& container) {
  ASSIGN_OR_RETURN(const auto status, node_->StatusOf(container));
  return ReadFile(status.log_path(), 1 << 20);
}

absl::StatusOr<std::string> PullImage(TestNode& node,
                                      const std::string& image) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(image);
  ASSIGN_OR_RETURN(
      const auto response,
      CallCri(node.images(), &cri::ImageService::Stub::PullImage, request));
  return response.image_ref();
}

}  // namespace serai::testing
