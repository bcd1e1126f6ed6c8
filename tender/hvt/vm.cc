// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/vm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/fatal.h"
#include "tender/filter.h"
#include "tender/hvt/cpu.h"
#include "tender/hvt/emulate.h"
#include "tender/hvt/hypercall.h"
#include "tender/hvt/layout.h"
#include "tender/hvt/memory.h"
#include "tender/hvt/paging.h"
#include "tender/hvt/rules.h"
#include "tender/hvt/stub.h"
#include "tender/loader.h"

#if !defined(__x86_64__)
#error "the tender runs hvt guests on x86_64 only"
#endif

namespace serai::tender::hvt {
namespace {

using solo5::HvtBootInfo;
using solo5::Segment;

constexpr int kKvmApi = 12;

// KVM_SET_CPUID2 as the kernel knows it. The header's own macro counts a size
// that differs in C++ where the header is older than Linux 6.5.
constexpr unsigned long kSetCpuid = _IOW(KVMIO, 0x90, uint64_t);

// A KVM call that has to succeed.
template <typename T>
int Control(int fd, unsigned long request, T argument, const char* name) {
  const int result = ::ioctl(fd, request, argument);
  if (result < 0) Fatal("KVM: %s: %s", name, std::strerror(errno));
  return result;
}

// Guest code is never run by the host itself, so nothing is executable here.
int HostProtection(const Segment& segment) {
  if (segment.writable) return PROT_READ | PROT_WRITE;
  return segment.readable || segment.executable ? PROT_READ : PROT_NONE;
}

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

int OpenKvm(int given) {
  const int fd = given >= 0 ? given : ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    Fatal(
        "Could not open /dev/kvm: %s: an hvt guest needs KVM; the same "
        "unikernel built for spt runs without",
        std::strerror(errno));
  }
  const int api = Control(fd, KVM_GET_API_VERSION, 0, "is that /dev/kvm?");
  if (api != kKvmApi) {
    Fatal("KVM: API version %d; %d is needed", api, kKvmApi);
  }
  return fd;
}

class Machine {
 public:
  explicit Machine(const Guest& guest);

  [[noreturn]] void RunUntilHalt();

 private:
  void AddMemory(uint32_t slot, uint64_t address, uint8_t* at, uint64_t size);
  void CreateProcessor(int kvm_fd);
  void SetProcessor();
  void WriteBootInfo();
  void OnIo();
  void OnTrap(uint8_t vector);
  bool OnRefusedInstruction();
  void CheckPageFault(const Exception& exception) const;
  [[noreturn]] void OnUnhandledExit() const;
  void FetchSystemRegisters();

  kvm_regs& regs() { return run_->s.regs.regs; }
  kvm_sregs& sregs() { return run_->s.regs.sregs; }

  const Guest& guest_;
  uint8_t* base_;
  uint8_t* system_;
  GuestMemory memory_;
  Emulator emulator_;
  int epoll_fd_;
  Hypercalls hypercalls_;
  int vm_fd_ = -1;
  int vcpu_fd_ = -1;
  kvm_run* run_ = nullptr;
};

Machine::Machine(const Guest& guest)
    : guest_(guest),
      base_(MapZeroed(guest.memory)),
      system_(MapZeroed(kSystemSize)),
      memory_(base_, guest.memory, guest.unikernel.LoadedSegments()),
      emulator_(&memory_),
      epoll_fd_(CreateEventPoll(guest.devices)),
      hypercalls_(&memory_, &guest.devices, epoll_fd_) {
  const int kvm_fd = OpenKvm(guest.kvm_fd);
  vm_fd_ = Control(kvm_fd, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
  LoadSegments(guest.kernel_fd, guest.unikernel, base_, HostProtection);
  BuildStub(system_);
  BuildPageTables(system_, guest.memory, guest.unikernel.LoadedSegments(),
                  guest.executable_heap);
  AddMemory(0, 0, base_, guest.memory);
  AddMemory(1, kSystemBase, system_, kSystemSize);
  CreateProcessor(kvm_fd);
  SetProcessor();
  WriteBootInfo();
  ::close(kvm_fd);
  Filter filter;
  AddRules(guest.devices, epoll_fd_, vcpu_fd_, &filter);
  filter.Install();
}

void Machine::AddMemory(uint32_t slot, uint64_t address, uint8_t* at,
                        uint64_t size) {
  kvm_userspace_memory_region region = {};
  region.slot = slot;
  region.guest_phys_addr = address;
  region.memory_size = size;
  region.userspace_addr = reinterpret_cast<uintptr_t>(at);
  Control(vm_fd_, KVM_SET_USER_MEMORY_REGION, &region,
          "KVM_SET_USER_MEMORY_REGION");
}

void Machine::CreateProcessor(int kvm_fd) {
  vcpu_fd_ = Control(vm_fd_, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU");
  const int size =
      Control(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
  void* const mapped = ::mmap(nullptr, static_cast<size_t>(size),
                              PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd_, 0);
  if (mapped == MAP_FAILED) {
    Fatal("KVM: mapping the vCPU: %s", std::strerror(errno));
  }
  run_ = static_cast<kvm_run*>(mapped);
}

void Machine::SetProcessor() {
  CpuidTable cpuid;
  FillCpuid(&cpuid);
  Control(vcpu_fd_, kSetCpuid, &cpuid, "KVM_SET_CPUID2");
  Control(vcpu_fd_, KVM_GET_SREGS, &sregs(), "KVM_GET_SREGS");
  SetStartSystemRegisters(&sregs());
  SetStartRegisters(guest_.unikernel.entry, guest_.memory, &regs());
  run_->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  run_->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

void Machine::WriteBootInfo() {
  const solo5::Manifest& manifest = guest_.unikernel.manifest;
  const size_t manifest_size = solo5::ManifestSize(manifest.entry_count);
  const int khz =
      Control(vcpu_fd_, KVM_GET_TSC_KHZ, 0, "the host's TSC is unstable");
  HvtBootInfo info = {};
  info.mem_size = guest_.memory;
  info.kernel_end = guest_.unikernel.kernel_end;
  info.cpu_cycle_freq = static_cast<uint64_t>(khz) * 1000;
  info.manifest = solo5::kHvtBootInfoAddress + sizeof(info);
  info.cmdline = info.manifest + manifest_size;
  std::memcpy(base_ + solo5::kHvtBootInfoAddress, &info, sizeof(info));
  std::memcpy(base_ + info.manifest, &manifest, manifest_size);
  std::memcpy(base_ + info.cmdline, guest_.command_line,
              std::strlen(guest_.command_line) + 1);
}

void Machine::RunUntilHalt() {
  for (;;) {
    if (::ioctl(vcpu_fd_, KVM_RUN, 0) < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      if (errno == EFAULT) {
        Fatal("KVM: host/guest translation fault: rip=0x%llx", regs().rip);
      }
      Fatal("KVM: KVM_RUN: %s", std::strerror(errno));
    }
    if (run_->exit_reason != KVM_EXIT_IO) OnUnhandledExit();
    OnIo();
  }
}

void Machine::OnIo() {
  if (const auto vector = VectorAt(regs().rip); vector) {
    OnTrap(*vector);
    return;
  }
  if (run_->io.direction != KVM_EXIT_IO_OUT || run_->io.count != 1) {
    Fatal("Invalid guest port access: port=0x%x", run_->io.port);
  }
  // This processor lets the guest reach its ports, so traps will be rare and
  // every exit need not pay for the system registers.
  run_->kvm_valid_regs = KVM_SYNC_X86_REGS;
  uint32_t value = 0;
  std::memcpy(&value,
              reinterpret_cast<const uint8_t*>(run_) + run_->io.data_offset,
              sizeof(value));
  hypercalls_.Serve(run_->io.port, run_->io.size, value);
}

void Machine::FetchSystemRegisters() {
  if ((run_->kvm_valid_regs & KVM_SYNC_X86_SREGS) != 0) return;
  Control(vcpu_fd_, KVM_GET_SREGS, &sregs(), "KVM_GET_SREGS");
}

// The guest did something that level 3 may not, or that is wrong at any level.
void Machine::OnTrap(uint8_t vector) {
  const TrapFrame frame = ReadTrapFrame(system_, vector);
  if ((frame.cs & 3) != 3) {
    Fatal("KVM: exception %u in ring 0: rip=0x%llx", vector,
          static_cast<unsigned long long>(frame.rip));
  }
  FetchSystemRegisters();
  regs().rip = frame.rip;
  regs().rsp = frame.rsp;
  regs().rflags = frame.rflags;
  const Exception exception = {vector, frame.error};
  if (vector == kPageFault) CheckPageFault(exception);
  // Bit 1 tells of an interrupt gate: the guest used `int`, which is no more
  // its right here than on a bare processor.
  const bool refused = vector == kGeneralProtection && (frame.error & 2) == 0;
  if (!(refused && OnRefusedInstruction()) &&
      !emulator_.Deliver(exception, &regs())) {
    Fatal(
        "KVM: guest exception %u (error 0x%llx, cr2 0x%llx) without a "
        "handler: rip=0x%llx",
        vector, static_cast<unsigned long long>(frame.error), sregs().cr2,
        static_cast<unsigned long long>(frame.rip));
  }
  SetUserSegments(&sregs());
  run_->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

// Whether the instruction is done; else the exception is the guest's.
bool Machine::OnRefusedInstruction() {
  using Outcome = Emulator::Outcome;
  Emulator::Io io;
  switch (emulator_.Step(&regs(), &sregs(), &io)) {
    case Outcome::kDone:
      return true;
    case Outcome::kOut:
      hypercalls_.Serve(io.port, io.size, io.value);
      return true;
    case Outcome::kIn:
      Fatal("Invalid guest port access: port=0x%x", io.port);
    case Outcome::kHalt:
      Fatal("KVM: the guest halted its processor: rip=0x%llx", regs().rip);
    case Outcome::kRefuse:
      break;
  }
  return false;
}

// A guest that writes or executes what its own file forbids is beyond rescue,
// and its handlers would run on the same data.
void Machine::CheckPageFault(const Exception& exception) const {
  const bool forbidden = (exception.error & 1) != 0;
  const uint64_t address = run_->s.regs.sregs.cr2;
  if (!forbidden || address < solo5::kMinLoadAddress ||
      address >= guest_.memory) {
    return;
  }
  const bool write = (exception.error & 2) != 0;
  const bool fetch = (exception.error & 16) != 0;
  Fatal("KVM: host/guest translation fault: rip=0x%llx, %s of 0x%llx",
        run_->s.regs.regs.rip,
        write   ? "write"
        : fetch ? "execution"
                : "read",
        static_cast<unsigned long long>(address));
}

void Machine::OnUnhandledExit() const {
  const unsigned long long rip = run_->s.regs.regs.rip;
  switch (run_->exit_reason) {
    case KVM_EXIT_FAIL_ENTRY:
      Fatal("KVM: entry failure: hw_entry_failure_reason=0x%llx",
            run_->fail_entry.hardware_entry_failure_reason);
    case KVM_EXIT_INTERNAL_ERROR:
      Fatal("KVM: internal error exit: suberror=0x%x, rip=0x%llx",
            run_->internal.suberror, rip);
    default:
      Fatal("KVM: unhandled exit: exit_reason=0x%x, rip=0x%llx",
            run_->exit_reason, rip);
  }
}

}  // namespace

void Run(const Guest& guest) { Machine(guest).RunUntilHalt(); }

}  // namespace serai::tender::hvt
