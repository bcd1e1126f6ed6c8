// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/init/machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "lib/base/unique_fd.h"
#include "tests/vm/cases.h"

namespace serai::testing {
namespace {

int line_to_test = -1;

void Mount(const char* type, const char* where) {
  ::mkdir(where, 0755);
  if (::mount(type, where, type, 0, nullptr) != 0 && errno != EBUSY) {
    Fail(where);
  }
}

void OpenLineToTest() {
  line_to_test = ::open("/dev/ttyS1", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (line_to_test < 0) Fail("/dev/ttyS1");
  termios settings = {};
  ::tcgetattr(line_to_test, &settings);
  ::cfmakeraw(&settings);
  ::tcsetattr(line_to_test, TCSANOW, &settings);
}

void LoadModules() {
  std::ifstream names("/modules/order");
  for (std::string name; std::getline(names, name);) {
    const std::string path = "/modules/" + name + ".ko";
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid() || ::syscall(SYS_finit_module, file.get(), "", 0) != 0) {
      Fail(path);
    }
  }
}

void WriteFile(const char* path, std::string_view text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (::write(file.get(), text.data(), text.size()) !=
      static_cast<ssize_t>(text.size())) {
    Fail(path);
  }
}

ifreq TapRequest() {
  ifreq request = {};
  std::memcpy(request.ifr_name, kTap, sizeof(kTap));
  return request;
}

void Configure(int fd, unsigned long operation, const ifreq& request) {
  if (::ioctl(fd, operation, &request) != 0) Fail(kTap);
}

void SetAddress(int socket, unsigned long operation, const char* address) {
  ifreq request = TapRequest();
  sockaddr_in internet = {};
  internet.sin_family = AF_INET;
  ::inet_pton(AF_INET, address, &internet.sin_addr);
  std::memcpy(&request.ifr_addr, &internet, sizeof(internet));
  Configure(socket, operation, request);
}

void MakeTap() {
  const UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request = TapRequest();
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  Configure(tap.get(), TUNSETIFF, request);
  if (::ioctl(tap.get(), TUNSETPERSIST, 1) != 0) Fail(kTap);
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SetAddress(socket.get(), SIOCSIFADDR, kPeerAddress);
  SetAddress(socket.get(), SIOCSIFNETMASK, "255.255.255.0");
  request = TapRequest();
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  Configure(socket.get(), SIOCSIFFLAGS, request);
  // Pings without raw sockets: for this group.
  WriteFile("/proc/sys/net/ipv4/ping_group_range", "0 0");
}

}  // namespace

void Tell(std::string_view line) {
  while (!line.empty()) {
    const ssize_t size = ::write(line_to_test, line.data(), line.size());
    if (size < 0 && errno != EINTR) return;
    if (size > 0) line.remove_prefix(static_cast<size_t>(size));
  }
}

void Fail(std::string_view what) {
  const std::string text =
      std::string(what) + ": " + std::strerror(errno) + "\n";
  Tell("error " + text);
  // The console too: the line may be what is missing.
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  PowerOff();
}

void SetUpMachine() {
  Mount("proc", "/proc");
  Mount("devtmpfs", "/dev");
  OpenLineToTest();
  LoadModules();
  std::string disk(kDiskSize, '\0');
  disk.replace(0, std::strlen(kDiskText), kDiskText);
  WriteFile(kDisk, disk);
  MakeTap();
}

void PowerOff() {
  if (line_to_test >= 0) ::tcdrain(line_to_test);
  // QEMU ends at a reboot as well, and that needs no ACPI.
  ::reboot(RB_AUTOBOOT);
  ::_exit(1);
}

}  // namespace serai::testing
