// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tender/hvt/state_file.h"
#include "tender/report.h"

namespace serai::tender::hvt {
namespace {

using solo5::DeviceType;
using solo5::Manifest;
using solo5::ManifestEntry;

constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
// A snapshot may be replaced between its two files.
constexpr int kAttempts = 3;

bool Fail(solo5::Error* error, const char* name, const char* reason) {
  error->problem = solo5::Problem::kIo;
  std::snprintf(error->message, sizeof(error->message), "%s: %s", name, reason);
  return false;
}

// The regular file `name`, and how long it is; -1 with *error.
int OpenFile(int directory, const char* name, uint64_t* size,
             solo5::Error* error) {
  const int fd = ::openat(directory, name, kReadFlags);
  struct stat status = {};
  if (fd < 0 || ::fstat(fd, &status) != 0) {
    Fail(error, name, std::strerror(errno));
  } else if (!S_ISREG(status.st_mode)) {
    Fail(error, name, "is no file");
  } else {
    *size = static_cast<uint64_t>(status.st_size);
    return fd;
  }
  if (fd >= 0) ::close(fd);
  return -1;
}

bool ReadTrailer(int fd, uint64_t size, const SnapshotState& state,
                 const char* name, solo5::Error* error) {
  static MemoryTrailer trailer;
  if (size != state.memory + sizeof(trailer)) {
    return Fail(error, name, "has another size than the machine file says");
  }
  if (::pread(fd, &trailer, sizeof(trailer),
              static_cast<off_t>(state.memory)) !=
      static_cast<ssize_t>(sizeof(trailer))) {
    return Fail(error, name, "cannot be read");
  }
  if (trailer.magic != kSnapshotMagic || trailer.id != state.id) {
    return Fail(error, name, "belongs to another snapshot");
  }
  return true;
}

// That of a descriptor that was handed over; false with *error.
bool SizeOf(int fd, const char* name, uint64_t* size, solo5::Error* error) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    return Fail(error, name, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return Fail(error, name, "is no file");
  *size = static_cast<uint64_t>(status.st_size);
  return true;
}

bool ReadState(int fd, uint64_t size, SnapshotState* state,
               solo5::Error* error) {
  *state = {};
  const ssize_t n = ::pread(fd, state, sizeof(*state), 0);
  if (n < 0) return Fail(error, kMachineName, std::strerror(errno));
  solo5::Error reason;
  const size_t whole =
      static_cast<uint64_t>(n) == std::min<uint64_t>(size, sizeof(*state))
          ? size
          : 0;
  if (CheckSnapshot(*state, whole, &reason)) return true;
  return Fail(error, kMachineName, reason.message);
}

// The two files that the options hand over. They are what they are: nobody
// replaces one of them.
bool ReadGiven(const Options& options, Snapshot* snapshot,
               solo5::Error* error) {
  const int machine = options.restore_from.fd;
  const int memory = options.restore_memory_fd;
  uint64_t size = 0;
  if (!SizeOf(machine, kMachineName, &size, error) ||
      !ReadState(machine, size, &snapshot->state, error)) {
    return false;
  }
  const char* name = MemoryName(snapshot->state.memory_number);
  if (!SizeOf(memory, name, &size, error) ||
      !ReadTrailer(memory, size, snapshot->state, name, error)) {
    return false;
  }
  ::close(machine);
  snapshot->memory_fd = memory;
  return true;
}

bool OpenBoth(int directory, Snapshot* snapshot, solo5::Error* error) {
  if (!ReadMachine(directory, &snapshot->state, error)) return false;
  const char* name = MemoryName(snapshot->state.memory_number);
  uint64_t size = 0;
  const int fd = OpenFile(directory, name, &size, error);
  if (fd < 0) return false;
  snapshot->memory_fd = fd;
  if (ReadTrailer(fd, size, snapshot->state, name, error)) return true;
  ::close(fd);
  return false;
}

bool ReadDirectory(const Options& options, Snapshot* snapshot,
                   solo5::Error* error) {
  const int directory = OpenDirectory(options.restore_from, "--restore-from");
  bool read = false;
  for (int i = 0; i <= kAttempts && !read; ++i) {
    read = OpenBoth(directory, snapshot, error);
  }
  if (options.restore_from.fd < 0) ::close(directory);
  return read;
}

void CheckOptions(const SnapshotState& state, const Options& options) {
  const char* path = options.restore_from.path;
  if (options.memory_given && options.memory != state.memory) {
    Fatal("--restore-from: %s: the guest has %llu MiB of memory, not %llu",
          path, static_cast<unsigned long long>(state.memory >> 20),
          static_cast<unsigned long long>(options.memory >> 20));
  }
  const auto level =
      state.level == 3 ? GuestLevel::kLevel3 : GuestLevel::kLevel0;
  if (options.level != GuestLevel::kAuto && options.level != level) {
    Fatal("--restore-from: %s: the guest runs at level %u (--cpl)", path,
          state.level);
  }
  if (options.net_ring) {
    Fatal(
        "--restore-from and --net-ring=on exclude each other: the guest was "
        "offered no ring when it started");
  }
  const bool executable = (state.flags & SnapshotState::kExecutableHeap) != 0;
  if (options.executable_heap != executable) {
    Fatal("--restore-from: %s: the guest runs %s --x-exec-heap", path,
          executable ? "with" : "without");
  }
}

void FillUnikernel(const SnapshotState& state, solo5::Unikernel* unikernel) {
  unikernel->target = solo5::Target::kHvt;
  unikernel->abi_version = solo5::kNewestAbi;
  unikernel->entry = state.processor.regs.rip;
  unikernel->segment_count = state.segment_count;
  for (uint32_t i = 0; i < state.segment_count; ++i) {
    const SnapshotSegment& from = state.segments[i];
    solo5::Segment& segment = unikernel->segments[i];
    segment = {};
    segment.address = from.range.address;
    segment.memory_size = segment.file_size = from.range.size;
    segment.readable = (from.access & SnapshotSegment::kReadable) != 0;
    segment.writable = (from.access & SnapshotSegment::kWritable) != 0;
    segment.executable = (from.access & SnapshotSegment::kExecutable) != 0;
    unikernel->kernel_end = segment.PageEnd();
  }
  unikernel->lowest_memory = state.memory;
  unikernel->manifest = state.manifest;
  Manifest& manifest = unikernel->manifest;
  for (uint32_t i = 1; i < manifest.entry_count; ++i) {
    manifest.entries[i].attached = 0;
  }
}

bool GivesMac(const Options& options, const char* name) {
  const auto begin = options.device_options.begin();
  return std::any_of(begin, begin + options.device_option_count,
                     [&](const DeviceOption& option) {
                       return option.kind == DeviceOption::Kind::kNetMac &&
                              option.name == name;
                     });
}

void MatchNet(const ManifestEntry& known, const ManifestEntry& attached,
              const Options& options) {
  if (known.net.mtu != attached.net.mtu) {
    Fatal(
        "--restore-from: the guest knows '%s' with an MTU of %u; what is "
        "attached has %u",
        known.name, known.net.mtu, attached.net.mtu);
  }
  if (GivesMac(options, known.name) &&
      std::memcmp(known.net.mac, attached.net.mac, sizeof(known.net.mac)) !=
          0) {
    const uint8_t(&mac)[6] = known.net.mac;
    Fatal(
        "--restore-from: '%s' keeps the MAC address that the guest has in its "
        "memory, %02x:%02x:%02x:%02x:%02x:%02x",
        known.name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  }
}

void MatchBlock(const ManifestEntry& known, const ManifestEntry& attached) {
  if (known.block.capacity != attached.block.capacity ||
      known.block.block_size != attached.block.block_size) {
    Fatal(
        "--restore-from: the guest knows '%s' with %llu bytes in blocks of "
        "%u; what is attached has %llu in blocks of %u",
        known.name, static_cast<unsigned long long>(known.block.capacity),
        known.block.block_size,
        static_cast<unsigned long long>(attached.block.capacity),
        attached.block.block_size);
  }
}

// Whether each bit that `had` has of a leaf's sets of features is in `has`.
// What else CPUID tells identifies the processor, which may be another.
bool HasFeatures(const SnapshotLeaf& had, const kvm_cpuid_entry2& has) {
  struct Sets {
    uint32_t function;
    bool eax, ebx, ecx, edx;
  };
  static constexpr Sets kSets[] = {
      {0x1, false, false, true, true},
      {0x7, false, true, true, true},
      {0xd, true, false, false, false},  // the states of XSAVE, and its forms
      {0x80000001, false, false, true, true},
      {0x80000007, false, false, false, true},
  };
  for (const Sets& sets : kSets) {
    if (sets.function != had.function) continue;
    return !(sets.eax && (had.eax & ~has.eax) != 0) &&
           !(sets.ebx && (had.ebx & ~has.ebx) != 0) &&
           !(sets.ecx && (had.ecx & ~has.ecx) != 0) &&
           !(sets.edx && (had.edx & ~has.edx) != 0);
  }
  return true;
}

}  // namespace

bool ReadMachine(int directory, SnapshotState* state, solo5::Error* error) {
  *error = solo5::Error();
  uint64_t size = 0;
  const int fd = OpenFile(directory, kMachineName, &size, error);
  if (fd < 0) return false;
  const bool read = ReadState(fd, size, state, error);
  ::close(fd);
  return read;
}

void ReadSnapshot(const Options& options, Snapshot* snapshot, Guest* guest) {
  solo5::Error error;
  const bool read = options.restore_memory_fd >= 0
                        ? ReadGiven(options, snapshot, &error)
                        : ReadDirectory(options, snapshot, &error);
  if (!read) {
    Fatal("--restore-from: %s: %s", options.restore_from.path, error.message);
  }
  CheckOptions(snapshot->state, options);
  FillUnikernel(snapshot->state, &guest->unikernel);
  guest->memory = snapshot->state.memory;
  guest->snapshot = snapshot;
}

void MatchDevices(const Snapshot& snapshot, const Options& options,
                  Manifest* manifest) {
  const Manifest& known = snapshot.state.manifest;
  for (uint32_t i = 1; i < known.entry_count; ++i) {
    const ManifestEntry& entry = known.entries[i];
    if (entry.type == DeviceType::kNet) {
      MatchNet(entry, manifest->entries[i], options);
    } else {
      MatchBlock(entry, manifest->entries[i]);
    }
  }
  *manifest = known;
}

void CheckFeatures(const SnapshotState& state, const CpuidTable& cpuid) {
  for (size_t i = 0; i < kCpuidEntries; ++i) {
    const SnapshotLeaf& had = state.cpuid[i];
    const kvm_cpuid_entry2& has = cpuid.entries[i];
    if (had.function != has.function || had.index != has.index) {
      Fatal("--restore-from: the snapshot's CPUID is that of another version");
    }
    if (HasFeatures(had, has)) continue;
    Fatal(
        "--restore-from: the guest knows features of a processor that this one "
        "lacks: CPUID 0x%x: 0x%x 0x%x 0x%x 0x%x, here 0x%x 0x%x 0x%x 0x%x",
        had.function, had.eax, had.ebx, had.ecx, had.edx, has.eax, has.ebx,
        has.ecx, has.edx);
  }
}

uint8_t* MapSnapshot(const Snapshot& snapshot,
                     const solo5::Unikernel& unikernel,
                     ProtectionOf protection) {
  void* const mapped =
      ::mmap(nullptr, snapshot.state.memory, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    Fatal("mapping %llu KiB of guest memory: %s",
          static_cast<unsigned long long>(snapshot.state.memory >> 10),
          std::strerror(errno));
  }
  auto* const base = static_cast<uint8_t*>(mapped);
  for (const SnapshotRange& extent : snapshot.state.Extents()) {
    if (::mmap(base + extent.address, extent.size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, snapshot.memory_fd,
               static_cast<off_t>(extent.address)) == MAP_FAILED) {
      Fatal("mapping the snapshot: %s", std::strerror(errno));
    }
  }
  ::close(snapshot.memory_fd);
  for (const solo5::Segment& segment : unikernel.LoadedSegments()) {
    const uint64_t start = segment.PageStart();
    if (::mprotect(base + start, segment.PageEnd() - start,
                   protection(segment)) != 0) {
      Fatal("protecting guest memory: %s", std::strerror(errno));
    }
  }
  return base;
}

}  // namespace serai::tender::hvt
