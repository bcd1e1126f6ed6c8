// SPDX-License-Identifier: Apache-2.0
// An hvt guest that makes hypercalls of any kind, with its structures where it
// likes, and changes its memory in between.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "tender/hvt/hypercall.h"
#include "tests/fuzz/guest_end.h"
#include "tests/fuzz/guest_input.h"

namespace {

using namespace serai::fuzz;         // NOLINT(google-build-using-namespace)
using namespace serai::tender;       // NOLINT(google-build-using-namespace)
using namespace serai::tender::hvt;  // NOLINT(google-build-using-namespace)
using serai::UniqueFd;

constexpr uint64_t kDiskSize = 16 * 1024;
constexpr int kSteps = 64;

UniqueFd MakeDisk() {
  UniqueFd disk(::memfd_create("disk", MFD_CLOEXEC));
  FUZZ_CHECK(::ftruncate(disk.get(), kDiskSize) == 0);
  return disk;
}

// What all runs share.
class Machine {
 public:
  enum Handle { kNet = 1, kDisk, kReadOnly, kShrunk, kAwake, kOther };

  Machine() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    Attach(kNet, Device::Kind::kNet, wire_.guest());
    Attach(kDisk, Device::Kind::kBlock, disk_.get());
    Attach(kReadOnly, Device::Kind::kBlock, read_only_.get());
    devices_[kReadOnly].read_only = true;
    // Shorter than it was when it was attached.
    FUZZ_CHECK(::ftruncate(shrunk_.get(), kDiskSize / 2) == 0);
    Attach(kShrunk, Device::Kind::kBlock, shrunk_.get());
    devices_[kShrunk].read_only = true;
    // Always ready, so that nobody sleeps.
    Attach(kAwake, Device::Kind::kNet, awake_.get());
    Attach(kOther, Device::Kind::kNet, null_.get());
    for (const Handle handle : {kNet, kAwake}) {
      epoll_event event = {};
      event.events = EPOLLIN;
      event.data.u64 = handle;
      FUZZ_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, devices_[handle].fd,
                             &event) == 0);
    }
  }

  void Run(Input* input);

 private:
  void Attach(Handle handle, Device::Kind kind, int fd) {
    devices_[handle].kind = kind;
    devices_[handle].fd = fd;
    devices_[handle].block_size = 512;
    devices_[handle].capacity = kDiskSize;
  }
  void Step(Input* input, Hypercalls* hypercalls);
  void Call(Input* input, Hypercalls* hypercalls);
  void CheckReadOnly() const;

  Memory memory_;
  Wire wire_;
  UniqueFd disk_ = MakeDisk();
  UniqueFd read_only_ = MakeDisk();
  UniqueFd shrunk_ = MakeDisk();
  UniqueFd awake_{::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
  UniqueFd null_{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  UniqueFd full_{::open("/dev/full", O_WRONLY | O_CLOEXEC)};
  UniqueFd epoll_;
  DeviceTable devices_;
};

// A structure filled with numbers that matter, at a place that may.
void Machine::Call(Input* input, Hypercalls* hypercalls) {
  const auto call = input->Take<uint8_t>();
  uint64_t words[5];
  for (uint64_t& word : words) word = TakeNumber(input);
  if (call % 2 == 0) words[0] %= kOther + 2;  // a handle, mostly
  const uint64_t place = TakeNumber(input);
  memory_.Poke(place - Memory::kData,
               {reinterpret_cast<const uint8_t*>(words), sizeof(words)});
  const auto port =
      static_cast<uint16_t>(serai::solo5::kHvtPortBase + 1 + call / 2 % 9);
  hypercalls->Serve(port, 4, static_cast<uint32_t>(place));
}

void Machine::Step(Input* input, Hypercalls* hypercalls) {
  const auto what = input->Take<uint8_t>();
  switch (what % 4) {
    case 0: {
      const auto offset = input->Take<uint16_t>();
      memory_.Poke(offset, input->TakeBytes(what));
      break;
    }
    case 1:
      wire_.Send(input->TakeBytes(what));
      break;
    case 2: {
      const auto port = input->Take<uint16_t>();
      const auto size = input->Take<uint8_t>();
      hypercalls->Serve(port, size, input->Take<uint32_t>());
      break;
    }
    default:
      Call(input, hypercalls);
      break;
  }
}

void Machine::CheckReadOnly() const {
  for (const UniqueFd* disk : {&read_only_, &shrunk_}) {
    std::array<uint8_t, kDiskSize> bytes;
    const auto n = static_cast<size_t>(
        ::pread(disk->get(), bytes.data(), bytes.size(), 0));
    FUZZ_CHECK(n == (disk == &shrunk_ ? kDiskSize / 2 : kDiskSize));
    FUZZ_CHECK(bytes[0] == 0);
    FUZZ_CHECK(std::memcmp(bytes.data(), bytes.data() + 1, n - 1) == 0);
  }
}

void Machine::Run(Input* input) {
  memory_.Reset();
  Counters counters;
  std::array<uint8_t, Console::kMinBuffer> buffer;
  const bool full = input->Take<uint8_t>() % 4 == 0;
  Console console(full ? full_.get() : null_.get(), buffer, &counters);
  const GuestMemory guest(memory_.base(), Memory::kSize, memory_.segments());
  Hypercalls hypercalls(&guest, &devices_, epoll_.get(), &console, &counters);
  try {
    for (int i = 0; i < kSteps && !input->empty(); ++i) {
      ::eventfd_write(awake_.get(), 1);
      Step(input, &hypercalls);
    }
  } catch (const GuestEnd& end) {
    FUZZ_CHECK(end.end != End::kSignal && end.end != End::kFailure);
  }
  memory_.CheckUntouched();
  CheckReadOnly();
  struct stat status = {};
  FUZZ_CHECK(::fstat(disk_.get(), &status) == 0);
  FUZZ_CHECK(static_cast<uint64_t>(status.st_size) == kDiskSize);
  FUZZ_CHECK(!console.is_pending());
  wire_.Drain();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Machine machine;
  Input input(data, size);
  machine.Run(&input);
  return 0;
}
