// SPDX-License-Identifier: Apache-2.0
// The first program of the node's kernel: loads what its disk needs, and goes
// on with the system there. What came with the kernel stays to be seen at
// /serai.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace {

constexpr char kDisk[] = "/dev/vda";

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "init: %s: %s\n", what.c_str(), std::strerror(errno));
  ::reboot(RB_AUTOBOOT);  // which ends QEMU
  ::_exit(1);
}

void Mount(const char* what, const char* where, const char* type,
           unsigned long flags) {
  if (::mount(what, where, type, flags, nullptr) != 0) Fail(where);
}

void LoadModules() {
  std::ifstream names("/modules/order");
  for (std::string name; std::getline(names, name);) {
    const std::string path = "/modules/" + name + ".ko";
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 || ::syscall(SYS_finit_module, file, "", 0) != 0) Fail(path);
    ::close(file);
  }
}

void WaitForDisk() {
  constexpr int kPauses = 1000;
  constexpr useconds_t kPause = 10'000;
  for (int i = 0; i < kPauses; ++i) {
    if (::access(kDisk, F_OK) == 0) return;
    ::usleep(kPause);
  }
  Fail(kDisk);
}

}  // namespace

int main() {
  if (::getpid() != 1) {
    std::fputs("this is the first program of a virtual machine\n", stderr);
    return 1;
  }
  Mount("dev", "/dev", "devtmpfs", 0);
  LoadModules();
  WaitForDisk();
  Mount(kDisk, "/root", "ext4", 0);
  Mount("/serai", "/root/serai", nullptr, MS_BIND);
  Mount("/dev", "/root/dev", nullptr, MS_MOVE);
  if (::chdir("/root") != 0) Fail("/root");
  Mount(".", "/", nullptr, MS_MOVE);
  if (::chroot(".") != 0) Fail("chroot");
  ::execl("/sbin/init", "init", nullptr);
  Fail("/sbin/init");
}
