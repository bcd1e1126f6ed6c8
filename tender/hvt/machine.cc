// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/machine.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/filter.h"
#include "tender/hvt/cpu.h"
#include "tender/hvt/decode.h"
#include "tender/hvt/layout.h"
#include "tender/hvt/level0.h"
#include "tender/hvt/rules.h"
#include "tender/hvt/snapshot_processor.h"
#include "tender/hvt/snapshot_reader.h"
#include "tender/loader.h"
#include "tender/report.h"
#include "tender/requests.h"

#if !defined(__x86_64__)
#error "the tender runs hvt guests on x86_64 only"
#endif

namespace serai::tender::hvt {
namespace {

using solo5::HvtBootInfo;
using solo5::Segment;

// KVM_SET_CPUID2 as the kernel knows it. The header's own macro counts a size
// that differs in C++ where the header is older than Linux 6.5.
constexpr unsigned long kSetCpuid = _IOW(KVMIO, 0x90, uint64_t);

// Guest code is never run by the host itself, so nothing is executable here.
int HostProtection(const Segment& segment) {
  if (segment.writable) return PROT_READ | PROT_WRITE;
  return segment.readable || segment.executable ? PROT_READ : PROT_NONE;
}

// A debugger changes text as well.
int DebuggedProtection(const Segment& segment) {
  const int protection = HostProtection(segment);
  return protection == PROT_NONE ? PROT_NONE : protection | PROT_WRITE;
}

// Costs no memory until a reader is slow.
uint8_t console_buffer[64 * 1024];

uint8_t* MapZeroed(uint64_t size) {
  void* const mapped =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    Fatal("mapping %llu KiB of guest memory: %s",
          static_cast<unsigned long long>(size >> 10), std::strerror(errno));
  }
  return static_cast<uint8_t*>(mapped);
}

uint8_t* MapMemory(const Guest& guest) {
  const auto protection =
      guest.options->gdb.wanted ? DebuggedProtection : HostProtection;
  if (guest.snapshot != nullptr) {
    return MapSnapshot(*guest.snapshot, guest.unikernel, protection);
  }
  uint8_t* const base = MapZeroed(guest.memory + guest.ring_size);
  LoadSegments(guest.kernel_fd, guest.unikernel, base, protection);
  return base;
}

// All that is known of the processor comes with its exits.
void CheckRegistersAreShared(int kvm_fd) {
  constexpr int kNeeded = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  const int had = Control(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS,
                          "KVM_CHECK_EXTENSION");
  if ((had & kNeeded) != kNeeded) {
    Fatal("KVM: this kernel's does not share registers (KVM_CAP_SYNC_REGS)");
  }
}

bool UsesLevel3(const Guest& guest) {
  if (guest.snapshot != nullptr) return guest.snapshot->state.level == 3;
  return guest.options->level != GuestLevel::kLevel0;
}

// A guest that sleeps is to serve requests as well.
void WatchRequests(int epoll_fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = Hypercalls::kRequestEvent;
  if (::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, RequestEvent(), &event) != 0) {
    Fatal("epoll_ctl: %s", std::strerror(errno));
  }
}

}  // namespace

Machine::Machine(Guest* guest)
    : guest_(*guest),
      base_(MapMemory(*guest)),
      system_(MapZeroed(kSystemSize)),
      memory_(base_, guest->memory, guest->unikernel.LoadedSegments()),
      epoll_fd_(CreateEventPoll(guest->devices)),
      console_(STDOUT_FILENO, console_buffer, &counters_),
      hypercalls_(&memory_, &guest->devices, epoll_fd_, &console_, &counters_),
      kvm_fd_(OpenKvm(guest->options->kvm_fd)),
      vm_fd_(Control(kvm_fd_, KVM_CREATE_VM, 0, "KVM_CREATE_VM")),
      processor_(kvm_fd_, vm_fd_),
      at_level3_(UsesLevel3(*guest)),
      level3_(system_, &memory_, &processor_, &hypercalls_, &counters_) {
  CheckRegistersAreShared(kvm_fd_);
  AddMemory(vm_fd_, 0, 0, base_, guest_.memory + guest_.ring_size);
  AddMemory(vm_fd_, 1, kSystemBase, system_, kSystemSize);
  CpuidTable cpuid;
  FillCpuid(&cpuid);
  Control(processor_.fd(), kSetCpuid, &cpuid, "KVM_SET_CPUID2");
  if (at_level3_) {
    level3_.SetUp(guest_);
  } else {
    SetUpLevel0(guest_, system_, &processor_);
  }
  if (guest_.snapshot != nullptr) {
    GoOn(*guest_.snapshot, cpuid);
  } else {
    WriteBootInfo();
  }
  if (guest_.ring_size > 0) OfferRing();
  WatchRequests(epoll_fd_);
  if (guest_.options->snapshot_to.is_given()) {
    snapshots_.emplace(guest_, base_, &processor_, &hypercalls_,
                       at_level3_ ? &level3_.emulator() : nullptr, cpuid);
  }
  if (guest_.options->dump_core.is_given()) core_dump_.emplace(guest_, base_);
  if (guest_.options->gdb.wanted) {
    debugger_.emplace(guest_.options->gdb, &processor_, &memory_, at_level3_);
    level3_.SetDebugger(&*debugger_);
  }
}

// Replaces the state at entry by that of the snapshot. What the guest was told
// at its start is in its memory.
void Machine::GoOn(const Snapshot& snapshot, const CpuidTable& cpuid) {
  CheckFeatures(snapshot.state, cpuid);
  RestoreProcessor(snapshot.state, &processor_);
  if (at_level3_) {
    level3_.emulator().SetTables(snapshot.state.processor.tables);
  }
  hypercalls_.SetPendingPoll(
      {snapshot.state.poll_address, snapshot.state.poll_timeout});
}

void Machine::WriteBootInfo() {
  const solo5::Manifest& manifest = guest_.unikernel.manifest;
  const size_t manifest_size = solo5::ManifestSize(manifest.entry_count);
  const int khz = Control(processor_.fd(), KVM_GET_TSC_KHZ, 0,
                          "the host's TSC is unstable");
  HvtBootInfo info = {};
  info.mem_size = guest_.memory;
  info.kernel_end = guest_.unikernel.kernel_end;
  info.cpu_cycle_freq = static_cast<uint64_t>(khz) * 1000;
  info.manifest = solo5::kHvtBootInfoAddress + sizeof(info);
  info.cmdline = info.manifest + manifest_size;
  if (guest_.ring_size > 0) {
    info.host_features = solo5::kHvtRingFeature;
    info.net_ring = guest_.memory;
  }
  std::memcpy(base_ + solo5::kHvtBootInfoAddress, &info, sizeof(info));
  std::memcpy(base_ + info.manifest, &manifest, manifest_size);
  std::memcpy(base_ + info.cmdline, guest_.command_line,
              std::strlen(guest_.command_line) + 1);
}

void Machine::OfferRing() {
  // NOLINTNEXTLINE: guest memory is a multiple of a large page.
  auto* const ring = reinterpret_cast<solo5::HvtRing*>(base_ + guest_.memory);
  ring_.emplace(ring, &memory_, &guest_.devices, &counters_);
  ring_thread_.emplace(&*ring_, vm_fd_, &counters_);
  hypercalls_.SetRing(&*ring_thread_);
}

void Machine::Confine() {
  ::close(kvm_fd_);
  Bindings bindings = BindPolicy(guest_.devices, epoll_fd_, processor_.fd());
  if (guest_.page_map_fd >= 0) {
    bindings.Have(policy::Situation::kPageMap)
        .Set(policy::Slot::kPageMapFd, guest_.page_map_fd);
  }
  if (ring_thread_) {
    ring_thread_->Start();
    ring_thread_->Bind(&bindings);
  }
  if (debugger_) debugger_->Bind(&bindings);
  if (core_dump_) core_dump_->Bind(&bindings);
  if (snapshots_) snapshots_->Bind(&bindings);
  MakeFilter(bindings).Install();
}

void Machine::Run() {
  SetRequestFlag(&processor_.run().immediate_exit);
  AcceptRequests(SIGUSR1, Request::kStats);
  if (ring_) AcceptRequests(RingThread::kSignal, Request::kRing);
  if (snapshots_) AcceptRequests(SIGUSR2, Request::kSnapshot);
  if (core_dump_) AcceptRequests(SIGQUIT, Request::kDumpCore);
  SetEndHook(
      [](void* self, End end, int status) {
        static_cast<Machine*>(self)->OnEnd(end, status);
      },
      this);
  hypercalls_.SetSleepHook(
      [](void* self) {
        return static_cast<Machine*>(self)->OnSleepDisturbed();
      },
      this);
  hypercalls_.SetAbortHook(
      [](void* self, const Trap* trap) {
        static_cast<Machine*>(self)->OnAbort(trap);
      },
      this);
  if (debugger_) debugger_->Accept();
  Confine();
  if (debugger_) StartDebugged();
  hypercalls_.FinishPoll();
  for (;;) {
    if (processor_.Run() == Processor::Stop::kInterrupted) {
      OnInterrupt();
    } else {
      OnExit();
    }
  }
}

// A debugger is to find the guest between two instructions, not waiting for the
// end of the first, whatever it does with it then.
void Machine::StartDebugged() {
  hypercalls_.EndPoll();
  debugger_->Start();
}

void Machine::OnExit() {
  ++counters_.exits;
  if (processor_.run().exit_reason == KVM_EXIT_IO) {
    OnIo();
  } else if (!debugger_ || !debugger_->TakeExit()) {
    OnUnhandledExit();
  }
  if (postponed_ != 0) {
    // Not now: KVM completes this exit when it is entered again, which a
    // request makes it do without going on.
    Ask(static_cast<Request>(postponed_));
    postponed_ = 0;
  }
}

void Machine::OnIo() {
  if (at_level3_ && level3_.ServeExit()) return;
  const kvm_run& run = processor_.run();
  if (run.io.direction != KVM_EXIT_IO_OUT || run.io.count != 1) {
    Violation("Invalid guest port access: port=0x%x", run.io.port);
  }
  uint32_t value = 0;
  std::memcpy(&value,
              reinterpret_cast<const uint8_t*>(&run) + run.io.data_offset,
              sizeof(value));
  hypercalls_.Serve(run.io.port, run.io.size, value);
}

// A signal came. KVM has completed the last exit, so the processor's state is
// whole, unless it is just leaving the guest.
void Machine::OnInterrupt() {
  const uint32_t requests = TakeRequests();
  if (at_level3_ && level3_.IsInStub()) {
    postponed_ |= requests;
  } else {
    ServeRequests(requests);
    hypercalls_.FinishPoll();
  }
}

// The counters can be told in the guest's sleep. All else wants the processor
// between two instructions, so it has to wake up.
bool Machine::OnSleepDisturbed() {
  constexpr auto kAtOnce = static_cast<uint32_t>(Request::kStats);
  const uint32_t requests = TakeRequests();
  ServeRequests(requests & kAtOnce);
  uint32_t rest = requests & ~kAtOnce;
  // A debugger may have sent something of no consequence.
  if (Includes(rest, Request::kDebugger) && !debugger_->WantsStop()) {
    rest &= ~static_cast<uint32_t>(Request::kDebugger);
  }
  if (rest != 0) Ask(static_cast<Request>(rest));
  return rest != 0;
}

void Machine::ServeRequests(uint32_t requests) {
  if (Includes(requests, Request::kStats)) WriteCounters();
  if (Includes(requests, Request::kRing)) ring_->EndGuest();
  if (Includes(requests, Request::kDebugger) && debugger_->WantsStop()) {
    hypercalls_.EndPoll();
    debugger_->OnRequest();
  }
  constexpr auto kCopies = static_cast<uint32_t>(Request::kSnapshot) |
                           static_cast<uint32_t>(Request::kDumpCore);
  const bool hide = debugger_ && (requests & kCopies) != 0;
  if (hide) debugger_->Hide();
  if (Includes(requests, Request::kSnapshot)) snapshots_->Take();
  if (Includes(requests, Request::kDumpCore)) {
    core_dump_->Write({processor_.regs(), SIGQUIT}, &processor_);
    EndWithSignal(SIGQUIT);
  }
  if (hide) debugger_->Show();
}

void Machine::WriteCounters() {
  static char buffer[kMaxCountersLine];
  Line line(buffer);
  AddCounters(counters_, guest_.unikernel.manifest, &line);
  WriteToCaller(line.text());
}

void Machine::OnAbort(const Trap* trap) {
  // Where the exception is known that made it give up, that's where it crashed;
  // all that came since was its handler's work.
  Crash crash = {processor_.regs(), SIGABRT};
  const Level3::Fault* const fault = level3_.fault();
  const bool known =
      fault != nullptr && (trap == nullptr || trap->rip == fault->regs.rip);
  if (known) {
    crash = {fault->regs, SignalOf(fault->exception.vector)};
  } else if (trap != nullptr) {
    crash.regs.rip = trap->rip;
    crash.regs.rsp = trap->rsp;
    crash.regs.rflags = trap->rflags;
    crash.signal = SIGSEGV;
  }
  abort_ = crash;
  uint64_t registers[16];
  for (uint8_t i = 0; i < 16; ++i) registers[i] = crash.regs.*RegisterAt(i);
  EndWithAbort(trap, known ? registers : nullptr);
}

// Where and how the guest went wrong that now ends.
Crash Machine::FindCrash() const {
  if (abort_) return *abort_;
  const kvm_regs& regs = processor_.regs();
  const Level3::Fault* const fault = level3_.fault();
  const bool faulted = fault != nullptr && fault->regs.rip == regs.rip;
  return {regs, faulted ? SignalOf(fault->exception.vector) : SIGSEGV};
}

void Machine::OnEnd(End end, int status) {
  // A signal may come in the midst of the console's work, and ends at once.
  if (end != End::kSignal) {
    if (ring_thread_) ring_thread_->Finish();
    console_.Finish();
  }
  if (guest_.options->stats) WriteCounters();
  const bool crashed = end == End::kAbort || end == End::kViolation;
  const Crash crash = crashed ? FindCrash() : Crash();
  if (debugger_) debugger_->OnEnd(end, status, crashed ? &crash : nullptr);
  if (crashed && core_dump_) core_dump_->Write(crash, &processor_);
}

void Machine::OnUnhandledExit() {
  const kvm_run& run = processor_.run();
  const unsigned long long rip = processor_.regs().rip;
  switch (run.exit_reason) {
    case KVM_EXIT_FAIL_ENTRY:
      Violation("KVM: entry failure: hw_entry_failure_reason=0x%llx",
                run.fail_entry.hardware_entry_failure_reason);
    case KVM_EXIT_INTERNAL_ERROR:
      Violation("KVM: internal error exit: suberror=0x%x, rip=0x%llx",
                run.internal.suberror, rip);
    default:
      Violation("KVM: unhandled exit: exit_reason=0x%x, rip=0x%llx",
                run.exit_reason, rip);
  }
}

void Run(Guest* guest) { Machine(guest).Run(); }

}  // namespace serai::tender::hvt
