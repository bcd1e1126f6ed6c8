// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/init/devices.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vm/init/machine.h"

namespace serai::testing {
namespace {

constexpr off_t kSize = 1 << 20;

}  // namespace

CaseDevices::CaseDevices(bool wanted) {
  if (!wanted) return;
  disk_.reset(::memfd_create("disk", 0));
  int ends[2];
  if (::ftruncate(disk_.get(), kSize) != 0 ||
      ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0) {
    Fail("devices");
  }
  tap_.reset(ends[0]);
  wire_.reset(ends[1]);
}

void CaseDevices::AddOptions(std::vector<std::string>& options) const {
  if (!disk_.valid()) return;
  options.push_back("--block:storage=@" + std::to_string(disk_.get()));
  options.push_back("--net:service=@" + std::to_string(tap_.get()));
  options.emplace_back("--net-mac:service=02:00:00:00:00:01");
  options.emplace_back("--net-mtu:service=1500");
}

bool CaseDevices::AreWhole() const {
  struct stat info = {};
  return !disk_.valid() ||
         (::fstat(disk_.get(), &info) == 0 && info.st_size == kSize);
}

}  // namespace serai::testing
