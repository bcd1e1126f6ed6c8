// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_processor.h"

#include <cstring>

namespace serai::tender::hvt {
namespace {

constexpr uint32_t kTsc = 0x10;
constexpr uint64_t kInitialXcr0 = 1;

// A kvm_msrs with its array.
template <size_t N>
struct Msrs {
  uint32_t count = N;
  uint32_t padding = 0;
  kvm_msr_entry entries[N] = {};
};

// As the kernel knows these: the header's own macros count a size that differs
// in C++, as for KVM_SET_CPUID2.
constexpr unsigned long kGetMsrs = _IOWR(KVMIO, 0x88, uint64_t);
constexpr unsigned long kSetMsrs = _IOW(KVMIO, 0x89, uint64_t);
struct XsaveArea {
  uint32_t region[1024];
};
constexpr unsigned long kGetXsave = _IOR(KVMIO, 0xa4, XsaveArea);
constexpr unsigned long kSetXsave = _IOW(KVMIO, 0xa5, XsaveArea);

// The first call that failed; what follows it is not made.
class Calls {
 public:
  explicit Calls(int fd) : fd_(fd) {}

  template <typename T>
  int Do(unsigned long request, T argument, const char* name) {
    if (failed_ != nullptr) return -1;
    const int result = ::ioctl(fd_, request, argument);
    if (result < 0) failed_ = name;
    return result;
  }
  void Require(bool condition, const char* name) {
    if (failed_ != nullptr || condition) return;
    errno = EINVAL;
    failed_ = name;
  }
  const char* failed() const { return failed_; }

 private:
  int fd_;
  const char* failed_ = nullptr;
};

void SaveEvents(Calls* calls, SnapshotException* exception) {
  kvm_vcpu_events events = {};
  calls->Do(KVM_GET_VCPU_EVENTS, &events, "KVM_GET_VCPU_EVENTS");
  if (events.exception.injected == 0) return;
  exception->pending = 1;
  exception->vector = events.exception.nr;
  exception->has_error = events.exception.has_error_code;
  exception->error = events.exception.error_code;
}

void SaveXcr0(Calls* calls, uint64_t* xcr0) {
  kvm_xcrs xcrs = {};
  calls->Do(KVM_GET_XCRS, &xcrs, "KVM_GET_XCRS");
  *xcr0 = kInitialXcr0;
  for (uint32_t i = 0; i < xcrs.nr_xcrs; ++i) {
    if (xcrs.xcrs[i].xcr == 0) *xcr0 = xcrs.xcrs[i].value;
  }
}

void SaveMsrs(Calls* calls, uint64_t (&values)[kSavedMsrCount]) {
  Msrs<kSavedMsrCount> msrs;
  for (size_t i = 0; i < kSavedMsrCount; ++i) {
    msrs.entries[i].index = kSavedMsrs[i];
  }
  const int count = calls->Do(kGetMsrs, &msrs, "KVM_GET_MSRS");
  calls->Require(count == kSavedMsrCount, "KVM_GET_MSRS");
  for (size_t i = 0; i < kSavedMsrCount; ++i) values[i] = msrs.entries[i].data;
}

bool ReadTsc(int fd, uint64_t* tsc) {
  Msrs<1> msr;
  msr.entries[0].index = kTsc;
  const bool read = ::ioctl(fd, kGetMsrs, &msr) == 1;
  *tsc = msr.entries[0].data;
  return read;
}

void RestoreEvents(const SnapshotException& exception, int fd) {
  if (exception.pending == 0) return;
  kvm_vcpu_events events = {};
  events.exception.injected = 1;
  events.exception.nr = exception.vector;
  events.exception.has_error_code = exception.has_error;
  events.exception.error_code = exception.error;
  Control(fd, KVM_SET_VCPU_EVENTS, &events,
          "the snapshot's exception is refused: KVM_SET_VCPU_EVENTS");
}

void RestoreXstate(const SnapshotProcessor& saved, int fd) {
  kvm_xcrs xcrs = {};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = saved.xcr0;
  Control(fd, KVM_SET_XCRS, &xcrs,
          "the snapshot's XCR0 is refused: KVM_SET_XCRS");
  Control(fd, kSetXsave, &saved.xsave,
          "the snapshot's vector registers are refused: KVM_SET_XSAVE");
}

void RestoreLevel0(const SnapshotProcessor& saved, int fd) {
  kvm_debugregs debug = saved.debug;
  Control(fd, KVM_SET_DEBUGREGS, &debug,
          "the snapshot's debug registers are refused: KVM_SET_DEBUGREGS");
  Msrs<kSavedMsrCount> msrs;
  for (size_t i = 0; i < kSavedMsrCount; ++i) {
    msrs.entries[i].index = kSavedMsrs[i];
    msrs.entries[i].data = saved.msrs[i];
  }
  const int count = Control(fd, kSetMsrs, &msrs, "KVM_SET_MSRS");
  if (count != kSavedMsrCount) {
    Fatal("KVM: the snapshot's MSR 0x%x is refused", kSavedMsrs[count]);
  }
}

void RestoreRegisters(const SnapshotState& state, Processor* processor) {
  const SnapshotProcessor& saved = state.processor;
  kvm_sregs& sregs = processor->sregs();
  if (state.level == 3) {
    sregs.fs.base = saved.sregs.fs.base;
    sregs.gs.base = saved.sregs.gs.base;
    sregs.cr2 = saved.sregs.cr2;
  } else {
    const uint64_t apic = sregs.apic_base;
    sregs = saved.sregs;
    sregs.apic_base = apic;
    std::memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
  }
  processor->regs() = saved.regs;
  // At once and not with the first entry, which would not say what is wrong.
  Control(processor->fd(), KVM_SET_SREGS, &sregs,
          "the snapshot's system registers are refused: KVM_SET_SREGS");
  Control(processor->fd(), KVM_SET_REGS, &processor->regs(),
          "the snapshot's registers are refused: KVM_SET_REGS");
  processor->run().kvm_dirty_regs = 0;
}

void RestoreRate(uint32_t khz, int fd) {
  const int host_khz = Control(fd, KVM_GET_TSC_KHZ, 0, "KVM_GET_TSC_KHZ");
  if (static_cast<uint32_t>(host_khz) == khz) return;
  if (::ioctl(fd, KVM_SET_TSC_KHZ, static_cast<unsigned long>(khz)) != 0) {
    Fatal(
        "the snapshot's guest counts on a clock of %u kHz; this host's has %d "
        "and cannot be scaled",
        khz, host_khz);
  }
}

// By the offset to the host's clock: a counter that is written is taken for an
// attempt to synchronise processors where it is small.
void RestoreClock(const SnapshotState& state, int fd) {
  RestoreRate(state.tsc_khz, fd);
  uint64_t offset = 0;
  kvm_device_attr attribute = {};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<uintptr_t>(&offset);
  uint64_t now = 0;
  if (::ioctl(fd, KVM_GET_DEVICE_ATTR, &attribute) == 0 && ReadTsc(fd, &now)) {
    offset += state.tsc - now;
    // A KVM that cannot do it shows so below.
    [[maybe_unused]] const int ignored =
        ::ioctl(fd, KVM_SET_DEVICE_ATTR, &attribute);
  }
  if (!ReadTsc(fd, &now)) Fatal("KVM: KVM_GET_MSRS: %s", std::strerror(errno));
  if (now < state.tsc) {
    Fatal(
        "this KVM gives guests the host's clock, which is behind the "
        "snapshot's: the guest's time would run backwards");
  }
}

}  // namespace

const char* SaveProcessor(Processor* processor, SnapshotState* state) {
  SnapshotProcessor& saved = state->processor;
  const int fd = processor->fd();
  Calls calls(fd);
  // First, since this is what makes a page fault's address known.
  SaveEvents(&calls, &saved.exception);
  saved.regs = processor->regs();
  calls.Do(KVM_GET_SREGS, &saved.sregs, "KVM_GET_SREGS");
  calls.Do(kGetXsave, &saved.xsave, "KVM_GET_XSAVE");
  SaveXcr0(&calls, &saved.xcr0);
  if (state->level == 0) {
    calls.Do(KVM_GET_DEBUGREGS, &saved.debug, "KVM_GET_DEBUGREGS");
    SaveMsrs(&calls, saved.msrs);
  }
  state->tsc_khz =
      static_cast<uint32_t>(calls.Do(KVM_GET_TSC_KHZ, 0, "KVM_GET_TSC_KHZ"));
  calls.Require(ReadTsc(fd, &state->tsc), "KVM_GET_MSRS");
  return calls.failed();
}

void RestoreProcessor(const SnapshotState& state, Processor* processor) {
  const int fd = processor->fd();
  if (state.level == 0) RestoreLevel0(state.processor, fd);
  RestoreXstate(state.processor, fd);
  RestoreRegisters(state, processor);
  RestoreEvents(state.processor.exception, fd);
  RestoreClock(state, fd);
}

}  // namespace serai::tender::hvt
