// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/kvm.h"

#include <fcntl.h>
#include <sys/mman.h>

namespace serai::tender::hvt {
namespace {

constexpr int kKvmApi = 12;

}  // namespace

int TryToOpenKvm() { return ::open("/dev/kvm", O_RDWR | O_CLOEXEC); }

void EndWithoutKvm(int error) {
  Fatal(
      "Could not open /dev/kvm: %s: an hvt guest needs KVM; the same unikernel "
      "built for spt runs without",
      std::strerror(error));
}

int OpenKvm(int given) {
  const int fd = given >= 0 ? given : TryToOpenKvm();
  if (fd < 0) EndWithoutKvm(errno);
  const int api = Control(fd, KVM_GET_API_VERSION, 0, "is that /dev/kvm?");
  if (api != kKvmApi) {
    Fatal("KVM: API version %d; %d is needed", api, kKvmApi);
  }
  return fd;
}

void AddMemory(int vm_fd, uint32_t slot, uint64_t address, uint8_t* at,
               uint64_t size) {
  kvm_userspace_memory_region region = {};
  region.slot = slot;
  region.guest_phys_addr = address;
  region.memory_size = size;
  region.userspace_addr = reinterpret_cast<uintptr_t>(at);
  Control(vm_fd, KVM_SET_USER_MEMORY_REGION, &region,
          "KVM_SET_USER_MEMORY_REGION");
}

Processor::Processor(int kvm_fd, int vm_fd)
    : fd_(Control(vm_fd, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU")) {
  const int size =
      Control(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
  void* const mapped = ::mmap(nullptr, static_cast<size_t>(size),
                              PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (mapped == MAP_FAILED) {
    Fatal("KVM: mapping the vCPU: %s", std::strerror(errno));
  }
  run_ = static_cast<kvm_run*>(mapped);
  Control(fd_, KVM_GET_SREGS, &sregs(), "KVM_GET_SREGS");
  run_->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

void Processor::FetchSystemRegisters() {
  // What was changed since is newer than what KVM has.
  const uint64_t here = run_->kvm_valid_regs | run_->kvm_dirty_regs;
  if ((here & KVM_SYNC_X86_SREGS) != 0) return;
  Control(fd_, KVM_GET_SREGS, &sregs(), "KVM_GET_SREGS");
}

void Processor::KeepSystemRegisters(bool keep) {
  run_->kvm_valid_regs =
      KVM_SYNC_X86_REGS | (keep ? uint64_t{KVM_SYNC_X86_SREGS} : 0);
}

Processor::Stop Processor::Run() {
  if (::ioctl(fd_, KVM_RUN, 0) >= 0) return Stop::kExit;
  if (errno == EINTR || errno == EAGAIN) return Stop::kInterrupted;
  if (errno == EFAULT) {
    Violation("KVM: host/guest translation fault: rip=0x%llx", regs().rip);
  }
  Fatal("KVM: KVM_RUN: %s", std::strerror(errno));
}

}  // namespace serai::tender::hvt
