// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/init/devices.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "tests/guests/testing/ring_cases.h"
#include "tests/vm/init/machine.h"

namespace serai::testing {
namespace {

constexpr off_t kSize = 1 << 20;

}  // namespace

CaseDevices::CaseDevices(const VmCase& vm_case) {
  const bool devices = vm_case.guest_case.devices;
  if (!devices && !vm_case.chatter) return;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0) {
    Fail("socketpair");
  }
  tap_.reset(ends[0]);
  wire_.reset(ends[1]);
  if (devices) {
    disk_.reset(::memfd_create("disk", 0));
    if (::ftruncate(disk_.get(), kSize) != 0) Fail("disk");
    return;
  }
  if (::dup2(tap_.get(), kRingDevice) < 0) Fail("dup2");
  tap_.reset(kRingDevice);
  chatter_ = std::thread([this] { Chatter(); });
}

CaseDevices::~CaseDevices() {
  done_ = true;
  if (chatter_.joinable()) chatter_.join();
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

// Takes all that comes, and sends what a net write to nowhere would be.
void CaseDevices::Chatter() const {
  constexpr std::array<uint64_t, 4> kFrame = {1, 0x1000, ~uint64_t{0}, 0};
  std::array<char, 4096> buffer;
  while (!done_) {
    pollfd ready = {wire_.get(), POLLIN, 0};
    ::poll(&ready, 1, 5);
    while (::recv(wire_.get(), buffer.data(), buffer.size(), 0) > 0) {
    }
    while (::send(wire_.get(), kFrame.data(), sizeof(kFrame), MSG_NOSIGNAL) >
           0) {
    }
  }
}

}  // namespace serai::testing
