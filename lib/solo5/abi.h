// SPDX-License-Identifier: Apache-2.0
#pragma once

// The numbers and structures that a Solo5 unikernel and its tender agree on:
// what stands in the ELF file, and what the two hand each other at run time
// for the targets hvt (a virtual machine) and spt (a process under seccomp).
// Versions 1 and 2 of the ABI differ in their number only.
//
// Every structure here is filled by a guest or read by one, so the layout is
// the contract. Integers are in the host's byte order.

#include <cstddef>
#include <cstdint>

namespace serai::solo5 {

enum class Target : uint32_t {
  kHvt = 1,
  kSpt = 2,
  kVirtio = 3,
  kMuen = 4,
  kGenode = 5,
  kXen = 6,
};

inline constexpr uint32_t kOldestAbi = 1;
inline constexpr uint32_t kNewestAbi = 2;

// ---- ELF notes -----------------------------------------------------------

// Each note has a segment of its own: a 12-byte header (three u32: name size,
// descriptor size, type), the name padded to 8 bytes, the descriptor. The
// descriptor's content is aligned from the start of the note, and the padding
// counts in the descriptor's size.
inline constexpr char kNoteName[] = "Solo5";
inline constexpr size_t kNoteHeaderSize = 12;
inline constexpr size_t kNoteDescriptorOffset = 20;

inline constexpr uint32_t kAbiNoteType = 0x31494241;       // "ABI1"
inline constexpr uint32_t kManifestNoteType = 0x3154464d;  // "MFT1"
inline constexpr size_t kAbiNoteContentOffset = 20;
inline constexpr size_t kManifestNoteContentOffset = 24;
inline constexpr size_t kMaxAbiNoteDescriptor = 32;

struct AbiNote {
  uint32_t target;
  uint32_t version;
  uint32_t reserved[2];
};
static_assert(sizeof(AbiNote) == 16);

// ---- Manifest ------------------------------------------------------------

enum class DeviceType : uint32_t {
  kBlock = 1,
  kNet = 2,
  // The first entry of every manifest, so that no device has handle 0.
  kReservedFirst = 0x40000000,
};

// Bytes, of a block device for which nobody says anything else. Its backing
// storage is a whole number of blocks, and at least one.
inline constexpr uint16_t kDefaultBlockSize = 512;

inline constexpr uint32_t kManifestVersion = 1;
inline constexpr size_t kMaxManifestEntries = 64;
inline constexpr size_t kMaxDevices = kMaxManifestEntries - 1;
inline constexpr size_t kMaxDeviceName = 67;

struct BlockProperties {
  uint64_t capacity;  // bytes
  uint16_t block_size;
};

struct NetProperties {
  uint8_t mac[6];
  uint16_t mtu;  // without the Ethernet header
};

struct ManifestEntry {
  char name[kMaxDeviceName + 1];
  DeviceType type;
  union {
    BlockProperties block;
    NetProperties net;
  };
  union {
    int32_t host_fd;  // spt guests use it in their system calls
    uint64_t tender_private;
  };
  uint8_t attached;
  uint8_t padding[7];
};
static_assert(sizeof(ManifestEntry) == 104);
static_assert(offsetof(ManifestEntry, type) == 68);
static_assert(offsetof(ManifestEntry, block) == 72);
static_assert(offsetof(ManifestEntry, block.block_size) == 80);
static_assert(offsetof(ManifestEntry, net.mtu) == 78);
static_assert(offsetof(ManifestEntry, host_fd) == 88);
static_assert(offsetof(ManifestEntry, attached) == 96);

// In the file only the entries in use are present. A device's handle is its
// index in `entries`.
struct Manifest {
  uint32_t version;
  uint32_t entry_count;
  ManifestEntry entries[kMaxManifestEntries];
};
inline constexpr size_t kManifestHeaderSize = offsetof(Manifest, entries);
static_assert(kManifestHeaderSize == 8);

inline constexpr size_t ManifestSize(size_t entry_count) {
  return kManifestHeaderSize + entry_count * sizeof(ManifestEntry);
}
inline constexpr size_t kMaxManifestNoteDescriptor =
    kManifestNoteContentOffset - kNoteDescriptorOffset +
    ManifestSize(kMaxManifestEntries);

// ---- Guest memory --------------------------------------------------------

inline constexpr uint64_t kPageSize = 4096;
inline constexpr uint64_t kMinLoadAddress = 0x100000;
// The command line with its terminating NUL.
inline constexpr size_t kMaxCommandLine = 8192;

// ---- hvt -----------------------------------------------------------------

inline constexpr uint64_t kHvtLargePage = 2 << 20;
inline constexpr uint64_t kHvtMaxMemory = uint64_t{4} << 30;
inline constexpr uint64_t kHvtBootInfoAddress = 0x10000;

struct HvtBootInfo {
  uint64_t mem_size;
  uint64_t kernel_end;
  uint64_t cpu_cycle_freq;  // of the TSC, in Hz
  uint64_t cmdline;
  uint64_t manifest;
  // A guest since Solo5 0.11 reads these three also from a tender that offers
  // none of it, so they must be zero then.
  uint32_t host_features;
  uint32_t guest_features;
  uint64_t net_ring;
};
static_assert(sizeof(HvtBootInfo) == 56);
static_assert(offsetof(HvtBootInfo, host_features) == 40);
static_assert(offsetof(HvtBootInfo, net_ring) == 48);

// x86_64: a 32-bit `out` of the argument structure's address to this port plus
// the number of the call.
inline constexpr uint16_t kHvtPortBase = 0x500;

enum class HvtHypercall : uint16_t {
  kWalltime = 1,
  kPuts = 2,
  kPoll = 3,
  kBlockWrite = 4,
  kBlockRead = 5,
  kNetWrite = 6,
  kNetRead = 7,
  kHalt = 8,
};

// What a hypercall's `ret` says.
enum class Result : int32_t { kOk = 0, kAgain = 1, kInvalid = 2, kError = 3 };

struct HvtWalltime {
  uint64_t nsecs;  // out: since the epoch
};
struct HvtPuts {
  uint64_t data;
  uint64_t len;
};
struct HvtPoll {
  uint64_t timeout_nsecs;
  uint64_t ready_set;  // out: bit n for the device with handle n
  int32_t ret;         // out: how many are ready
};
struct HvtBlockIo {
  uint64_t handle;
  uint64_t offset;
  uint64_t data;
  uint64_t len;
  int32_t ret;  // out: Result
};
struct HvtNetIo {
  uint64_t handle;
  uint64_t data;
  uint64_t len;  // of a read: the buffer's size in, the frame's out
  int32_t ret;   // out: Result
};
struct HvtHalt {
  uint64_t cookie;  // address of the guest's last words, or 0
  int32_t exit_status;
};
static_assert(offsetof(HvtPoll, ret) == 16);
static_assert(offsetof(HvtBlockIo, ret) == 32);
static_assert(offsetof(HvtNetIo, ret) == 24);
static_assert(offsetof(HvtHalt, exit_status) == 8);

// The ring, since Solo5 0.11: frames go through memory that both sides look at
// all the time. It begins where mem_size ends and takes a large page. Indices
// run on without end; a slot is an index modulo kHvtRingSlots. Where
// `needs_kick` is set, the guest wakes the host by a 32-bit `out` to
// kHvtRingPort after it has added an entry.
inline constexpr uint32_t kHvtRingFeature = 1;  // in host_features
inline constexpr uint16_t kHvtRingPort = 0x600;
inline constexpr uint32_t kHvtRingSlots = 1024;

enum class HvtRingOperation : uint32_t { kNetWrite = 1, kNetRead = 2 };

// From the guest. A write gets no answer.
struct HvtRingEntry {
  HvtRingOperation operation;
  uint32_t handle;
  uint64_t data;
  uint32_t len;
  uint32_t id;
  uint64_t reserved;
};
// The answer to a read.
struct HvtRingCommit {
  uint32_t id;
  int32_t ret;   // Result
  uint32_t len;  // of the frame
  uint32_t reserved;
};
struct HvtRing {
  // Written by the guest.
  alignas(64) uint32_t entry_tail;
  uint32_t commit_head;
  // Written by the host.
  alignas(64) uint32_t entry_head;
  uint32_t commit_tail;
  uint32_t needs_kick;
  alignas(64) HvtRingEntry entries[kHvtRingSlots];
  HvtRingCommit commits[kHvtRingSlots];
};
inline constexpr uint64_t kHvtRingSize = kHvtLargePage;
static_assert(sizeof(HvtRingEntry) == 32);
static_assert(sizeof(HvtRingCommit) == 16);
static_assert(sizeof(HvtRing) == 49280 && sizeof(HvtRing) <= kHvtRingSize);
static_assert(offsetof(HvtRing, commit_head) == 4);
static_assert(offsetof(HvtRing, entry_head) == 64);
static_assert(offsetof(HvtRing, commit_tail) == 68);
static_assert(offsetof(HvtRing, needs_kick) == 72);
static_assert(offsetof(HvtRing, entries) == 128);
static_assert(offsetof(HvtRing, commits) == 32896);

// ---- spt -----------------------------------------------------------------

// The lowest address at which Linux lets a process map memory by default.
inline constexpr uint64_t kSptLowestAddress = 0x10000;
inline constexpr uint64_t kSptBootInfoAddress = 0x11000;
// What epoll reports for the timer; for a net device it is the handle.
inline constexpr uint64_t kSptTimerEvent = 0xfffffffe;

struct SptBootInfo {
  uint64_t mem_size;
  uint64_t kernel_end;
  uint64_t cmdline;
  uint64_t manifest;
  int32_t epoll_fd;
  int32_t timer_fd;
};
static_assert(sizeof(SptBootInfo) == 40);
static_assert(offsetof(SptBootInfo, epoll_fd) == 32);

}  // namespace serai::solo5
