// SPDX-License-Identifier: Apache-2.0
#include "tender/filter.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tender/report.h"

#if !defined(__x86_64__)
#error "the tender's system-call filter is written for x86_64 only"
#endif

namespace serai::tender {
namespace {

using policy::Fragment;
using policy::Group;
using policy::Program;
using policy::Situation;
using policy::Slot;

bool IsFor(Situation situation, const Device& device) {
  const bool block = device.kind == Device::Kind::kBlock;
  switch (situation) {
    case Situation::kNetDevice:
      return device.kind == Device::Kind::kNet;
    case Situation::kBlockDevice:
      return block;
    case Situation::kWritableBlockDevice:
      return block && !device.read_only;
    case Situation::kReadOnlyBlockDevice:
      return block && device.read_only;
    default:
      return false;
  }
}

bool IsDevices(Situation situation) {
  return situation >= Situation::kNetDevice &&
         situation <= Situation::kReadOnlyBlockDevice;
}

void SetDevice(const Device& device, Bindings* bindings) {
  bindings->Set(Slot::kDeviceFd, device.fd);
  if (device.kind != Device::Kind::kBlock) return;
  bindings->Set(Slot::kBlockSize, uint64_t{device.block_size});
  bindings->Set(Slot::kLastBlock, device.capacity - device.block_size);
  bindings->Set(Slot::kLastByte, device.capacity - 1);
}

template <typename T>
std::span<const T> Part(std::span<const T> whole, size_t begin, size_t end) {
  return whole.subspan(begin, end - begin);
}

}  // namespace

Bindings& Bindings::Set(Slot slot, uint64_t number) {
  numbers_[static_cast<size_t>(slot)] = number;
  is_set_.set(static_cast<size_t>(slot));
  return *this;
}

Bindings& Bindings::Have(Situation situation) {
  arisen_.set(static_cast<size_t>(situation));
  return *this;
}

Filter::Filter(const Program& program, const Bindings& bindings)
    : bindings_(bindings) {
  Append(program.head);
  const size_t first_jump = size_ - program.groups.size();
  const sock_filter end = {BPF_RET | BPF_K, 0, 0, program.otherwise};
  for (size_t i = 0; i < program.groups.size(); ++i) {
    const Group& group = program.groups[i];
    const size_t jump = first_jump + i;
    code_[jump].k = static_cast<uint32_t>(size_ - jump - 1);
    Append(Part(program.code, group.code_begin, group.code_end));
    for (const Fragment& fragment :
         Part(program.fragments, group.fragment_begin, group.fragment_end)) {
      AddForEach(program, fragment);
    }
    Append({&end, 1});
  }
}

// As often as the fragment is wanted.
void Filter::AddForEach(const Program& program, const Fragment& fragment) {
  if (!IsDevices(fragment.situation)) {
    if (fragment.situation == Situation::kAlways ||
        bindings_.arisen_.test(static_cast<size_t>(fragment.situation))) {
      AddFragment(program, fragment);
    }
    return;
  }
  if (bindings_.devices_ == nullptr) return;
  for (const Device& device : *bindings_.devices_) {
    if (!IsFor(fragment.situation, device)) continue;
    SetDevice(device, &bindings_);
    AddFragment(program, fragment);
  }
}

void Filter::AddFragment(const Program& program, const Fragment& fragment) {
  const size_t start = size_;
  Append(Part(program.code, fragment.code_begin, fragment.code_end));
  for (const policy::Patch& patch :
       Part(program.patches, fragment.patch_begin, fragment.patch_end)) {
    const auto slot = static_cast<size_t>(patch.slot);
    if (!bindings_.is_set_.test(slot)) Fatal("bug: policy slot %zu", slot);
    const uint64_t number = bindings_.numbers_[slot];
    code_[start + (patch.at - fragment.code_begin)].k =
        static_cast<uint32_t>(patch.high ? number >> 32 : number);
  }
}

void Filter::Append(std::span<const sock_filter> code) {
  if (code.size() > code_.size() - size_) Fatal("seccomp: too many rules");
  std::copy(code.begin(), code.end(), code_.data() + size_);
  size_ += code.size();
}

void Filter::Install() const {
  sock_fprog description = {};
  description.len = static_cast<unsigned short>(size_);
  description.filter = const_cast<sock_filter*>(code_.data());
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fatal("prctl(PR_SET_NO_NEW_PRIVS): %s", std::strerror(errno));
  }
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_TSYNC, &description);
  if (result < 0) Fatal("seccomp: %s", std::strerror(errno));
  if (result > 0) {
    Fatal("seccomp: thread %ld has a filter of its own already", result);
  }
}

}  // namespace serai::tender
