// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/core_dump.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "tender/line.h"
#include "tender/policy/hvt.h"
#include "tender/report.h"

namespace serai::tender::hvt {
namespace {

using policy::Situation;
using policy::Slot;
using solo5::kPageSize;

// Names are numbered from the second on that one process number leaves, which
// the first process of every PID namespace has.
constexpr int kMaxNames = 100;

// Of pages looked up at once.
constexpr size_t kBatch = 512;

alignas(kPageSize) char name_page[kPageSize];
alignas(kPageSize) uint8_t header[kCoreHeaderSize];
std::array<uint64_t, kBatch> page_entries;

}  // namespace

CoreDump::CoreDump(const Guest& guest, const uint8_t* base)
    : guest_(guest),
      base_(base),
      directory_(OpenDirectory(guest.options->dump_core, "--dumpcore")),
      page_map_(base, guest.page_map_fd),
      pid_(::getpid()) {
  ChooseName();
  // A limit on the size of files is an error like a full disk.
  ::signal(SIGXFSZ, SIG_IGN);
}

void CoreDump::ChooseName() {
  // Solo5 has a program of its own for this, whose files have the other's name.
  constexpr std::string_view kSuffix = "-debug";
  std::string_view program = ProgramName();
  if (program.ends_with(kSuffix)) program.remove_suffix(kSuffix.size());
  for (int i = 0; i < kMaxNames; ++i) {
    Line line({name_page, NAME_MAX});
    line.Text("core.").Text(program).Text(".").Signed(pid_);
    if (i > 0) line.Text(".").Signed(i);
    name_page[line.text().size()] = '\0';
    struct stat status = {};
    if (::fstatat(directory_, name_page, &status, AT_SYMLINK_NOFOLLOW) == 0) {
      continue;
    }
    if (::mprotect(name_page, sizeof(name_page), PROT_READ) != 0) {
      Fatal("mprotect: %s", std::strerror(errno));
    }
    name_ = name_page;
    return;
  }
  Fatal("--dumpcore: %s: there are too many core files",
        guest_.options->dump_core.path);
}

void CoreDump::Bind(Bindings* bindings) {
  core_ = NextDescriptor(directory_);
  bindings->Have(Situation::kDumpCore)
      .Set(Slot::kCoreDirectoryFd, directory_)
      .Set(Slot::kCoreFd, core_)
      .Set(Slot::kCoreName, reinterpret_cast<uintptr_t>(name_));
}

void CoreDump::Write(const Crash& crash, Processor* processor) {
  const int fd =
      ::openat(directory_, name_, policy::kNewFile, policy::kNewFileMode);
  if (fd != core_) {
    // The filter lets nothing be done with another.
    if (fd >= 0) {
      ::unlinkat(directory_, name_, 0);
      errno = EBADFD;
    }
    Warn("could not create %s: %s", name_, std::strerror(errno));
    return;
  }
  CoreState state;
  state.regs = crash.regs;
  state.signal = crash.signal;
  processor->FetchSystemRegisters();
  state.sregs = processor->sregs();
  [[maybe_unused]] const int ignored =
      ::ioctl(processor->fd(), KVM_GET_FPU, &state.fpu);
  state.pid = pid_;
  state.program = guest_.options->kernel == nullptr
                      ? std::string_view()
                      : std::string_view(guest_.options->kernel);
  state.arguments = guest_.command_line;
  std::array<CoreRange, kMaxCoreRanges> storage;
  const std::span<CoreRange> ranges =
      DivideMemory(guest_.unikernel.LoadedSegments(), guest_.memory,
                   guest_.options->executable_heap, &storage);
  BuildCoreHeader(state, ranges, header);
  bool written = WriteAt(core_, header, sizeof(header), 0);
  for (const CoreRange& range : ranges) written = written && WriteRange(range);
  // What follows the last page written is a hole as well.
  const auto size = static_cast<off_t>(CoreOffset(guest_.memory));
  written = written && ::ftruncate(core_, size) == 0;
  if (written) {
    Warn("the guest's state is in %s", name_);
    return;
  }
  Warn("could not write %s: %s", name_, std::strerror(errno));
  ::unlinkat(directory_, name_, 0);
}

bool CoreDump::WriteRange(const CoreRange& range) {
  if (range.flags == 0) return true;
  const bool restored = guest_.options->restore_from.is_given();
  const uint64_t mapped_end = restored ? range.end : range.mapped_end;
  for (uint64_t at = range.start; at < range.end;) {
    const uint64_t end = std::min(at + kBatch * kPageSize, range.end);
    if (!WriteBatch(at, end, mapped_end)) return false;
    at = end;
  }
  return true;
}

// Runs of pages that hold something are written, the others left out.
bool CoreDump::WriteBatch(uint64_t start, uint64_t end, uint64_t mapped_end) {
  const std::span<uint64_t> entries(page_entries.data(),
                                    (end - start) / kPageSize);
  page_map_.Read(start, entries);
  uint64_t run = start;
  for (uint64_t at = start; at < end; at += kPageSize) {
    const bool looked_at =
        at < mapped_end ||
        PageMap::IsTouched(entries[(at - start) / kPageSize]);
    if (looked_at && !IsZeroPage(base_ + at)) continue;
    if (!WriteAt(core_, base_ + run, at - run, CoreOffset(run))) return false;
    run = at + kPageSize;
  }
  return WriteAt(core_, base_ + run, end - run, CoreOffset(run));
}

}  // namespace serai::tender::hvt
