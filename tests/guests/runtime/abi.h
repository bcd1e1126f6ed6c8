// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a Solo5 tender and its guest share in memory: the boot information, the
// device manifest and the ELF notes. x86_64, ABI version 2. Layouts only.

#include <cstddef>
#include <cstdint>

namespace serai::guest {

inline constexpr uint32_t kTargetHvt = 1;
inline constexpr uint32_t kTargetSpt = 2;
// 1 and 2 differ in nothing but this number.
#if !defined(SERAI_GUEST_ABI_VERSION)
#define SERAI_GUEST_ABI_VERSION 2
#endif
inline constexpr uint32_t kAbiVersion = SERAI_GUEST_ABI_VERSION;

struct HvtBootInfo {
  uint64_t memory_size;
  uint64_t kernel_end;
  uint64_t cycles_per_second;
  uint64_t command_line;  // guest address of a NUL-terminated string
  uint64_t manifest;      // guest address
  uint32_t host_features;
  uint32_t guest_features;
  uint64_t net_ring;
};
static_assert(sizeof(HvtBootInfo) == 56);

struct SptBootInfo {
  uint64_t memory_size;
  uint64_t kernel_end;
  uint64_t command_line;
  uint64_t manifest;
  int32_t epoll_fd;
  int32_t timer_fd;
};
static_assert(sizeof(SptBootInfo) == 40);

enum DeviceType : uint32_t {
  kBlockDevice = 1,
  kNetDevice = 2,
  kReservedFirst = 0x40000000,
};

// One device of the manifest. A device's handle is its index there.
struct ManifestEntry {
  char name[68];
  DeviceType type;
  // Block: u64 capacity, u16 block size. Net: u8 mac[6], u16 mtu.
  uint8_t properties[16];
  int64_t host_fd;  // spt only
  bool attached;
  uint8_t padding[7];
};
static_assert(sizeof(ManifestEntry) == 104);

struct Manifest {
  uint32_t version;
  uint32_t entries;
  ManifestEntry entry[64];
};

struct NoteHeader {
  uint32_t name_size;
  uint32_t descriptor_size;
  uint32_t type;
  char name[8];
};

inline constexpr uint32_t kAbiNoteType = 0x31494241;
inline constexpr uint32_t kManifestNoteType = 0x3154464d;

struct AbiNote {
  NoteHeader header{6, 16, kAbiNoteType, "Solo5"};
  uint32_t target;
  uint32_t version = kAbiVersion;
  uint32_t reserved[2] = {};
};
static_assert(sizeof(AbiNote) == 36);

// Lets the file pass for an OpenBSD program, which is how the loaders of other
// systems are kept from taking it for one of theirs.
struct OpenBsdNote {
  uint32_t name_size = 8;
  uint32_t descriptor_size = 4;
  uint32_t type = 1;
  char name[8] = {'O', 'p', 'e', 'n', 'B', 'S', 'D', '\0'};
  uint32_t version = 0;
};

// `Entries` counts the reserved first entry.
template <size_t Entries>
struct ManifestNote {
  NoteHeader header{6, 4 + 8 + sizeof(ManifestEntry) * Entries,
                    kManifestNoteType, "Solo5"};
  uint32_t padding = 0;
  uint32_t version = 1;
  uint32_t entries = Entries;
  ManifestEntry entry[Entries] = {};
};

}  // namespace serai::guest
