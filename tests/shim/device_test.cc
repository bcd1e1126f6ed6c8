// SPDX-License-Identifier: Apache-2.0
// Guests with devices: taps of a pod's network namespace, block files.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::PodShim;
using ::testing::HasSubstr;

constexpr char kTap[] = "serai0";

// A network namespace with a persistent tap, as a pod has it.
class PodNetwork {
 public:
  explicit PodNetwork(std::string path) : path_(std::move(path)) {
    EXPECT_OK(host::CreateNetns(path_));
    const auto netns = host::OpenNetns(path_);
    EXPECT_OK(netns);
    if (netns.ok()) EXPECT_OK(host::RunInNetns(netns->get(), MakeTap));
  }
  ~PodNetwork() { EXPECT_OK(host::RemoveNetns(path_)); }
  PodNetwork(const PodNetwork&) = delete;
  PodNetwork& operator=(const PodNetwork&) = delete;

 private:
  static absl::Status MakeTap() {
    ASSIGN_OR_RETURN(const UniqueFd tun, OpenFile("/dev/net/tun", O_RDWR));
    ifreq request = {};
    std::string(kTap).copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::ioctl(tun.get(), TUNSETIFF, &request) != 0 ||
        ::ioctl(tun.get(), TUNSETPERSIST, 1) != 0) {
      return ErrnoStatus(errno, "tap");
    }
    request.ifr_flags = IFF_UP;
    return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0
               ? absl::OkStatus()
               : ErrnoStatus(errno, "up");
  }

  const std::string path_;
};

ino_t NetnsOf(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_ino;
}

oci::RuntimeSpec WebSpec(PodShim& shim, const std::string& id,
                         const std::string& guest) {
  oci::RuntimeSpec spec =
      shim.Spec(id, guest, {"--ipv4=10.0.0.2/24", "--ipv4-gateway=10.0.0.1"});
  spec.network_namespace = shim / "netns";
  oci::GuestDevice device;
  device.name = "service";
  device.tap = kTap;
  device.mac = "02:00:00:00:00:01";
  device.mtu = 1500;
  spec.devices = {device};
  return spec;
}

TEST(DeviceTest, AGuestGetsThePodsTapAndItsTenderThePodsNamespace) {
  SERAI_NEED("net");
  PodShim shim;
  const PodNetwork network(shim / "netns");
  const std::string shim_netns = absl::StrCat("/proc/", shim.pid(), "/ns/net");
  const ino_t before = NetnsOf(shim_netns);
  // Again and again: the tap must be had though the last tender just died.
  for (int i = 0; i < 10; ++i) {
    const std::string id = absl::StrCat("web", i);
    ASSERT_OK(shim.Create(id, WebSpec(shim, id, "web.spt")));
    ASSERT_OK(shim.Start(id));
    const std::string proc = absl::StrCat("/proc/", shim.State(id)->pid());
    EXPECT_EQ(NetnsOf(proc + "/ns/net"), NetnsOf(shim / "netns"));
    EXPECT_EQ(NetnsOf(shim_netns), before);
    ASSERT_TRUE(shim.WaitForLog(id, "10.0.0.2"));
    ASSERT_OK(shim.Kill(id, SIGKILL));
    EXPECT_EQ(shim.Wait(id).value_or(0), 128U + SIGKILL);
    EXPECT_OK(shim.Delete(id));
  }
}

TEST(DeviceTest, ATapThatIsTakenIsAnErrorThatLeavesNothing) {
  SERAI_NEED("net");
  PodShim shim;
  const PodNetwork network(shim / "netns");
  ASSERT_OK(shim.Create("a", WebSpec(shim, "a", "web.spt")));
  const absl::Status second = shim.Create("b", WebSpec(shim, "b", "web.spt"));
  EXPECT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.message()),
              HasSubstr("net device service: tap serai0"));
  EXPECT_OK(shim.Delete("a"));
  EXPECT_OK(shim.Create("b", WebSpec(shim, "b", "web.spt")));
}

TEST(DeviceTest, ABlockFileIsReadAndWritten) {
  PodShim shim;
  const std::string path = shim / "disk.img";
  ASSERT_OK(WriteFileAtomic(path, "first block" + std::string(65525, '\0')));
  oci::RuntimeSpec spec = shim.Spec("a", "block.spt");
  oci::GuestDevice device;
  device.name = "storage";
  device.type = oci::GuestDevice::Type::kBlock;
  device.path = path;
  spec.devices = {device};
  ASSERT_OK(shim.Create("a", spec));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(99), 0U) << shim.Info("a")->message();
  EXPECT_THAT(shim.LogText("a", "stdout"), HasSubstr("first block"));
  ASSERT_OK_AND_ASSIGN(const std::string written, ReadFile(path, 1 << 20));
  EXPECT_NE(written, "first block" + std::string(65525, '\0'));

  spec = shim.Spec("b", "block.spt", {"--read-only"});
  spec.devices = {device};
  spec.devices[0].read_only = true;
  ASSERT_EQ(::chmod(path.c_str(), 0400), 0);
  ASSERT_OK(shim.Create("b", spec));
  ASSERT_OK(shim.Start("b"));
  EXPECT_EQ(shim.Wait("b").value_or(99), 0U) << shim.Info("b")->message();
  EXPECT_EQ(ReadFile(path, 1 << 20).value_or(""), written);
}

}  // namespace
}  // namespace serai::shim
