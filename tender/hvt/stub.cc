// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/stub.h"

#include <cstring>

#include "tender/hvt/emulate.h"
#include "tender/hvt/layout.h"

namespace serai::tender::hvt {
namespace {

constexpr uint8_t kOverflow = 4;
constexpr auto kLastHypercall =
    static_cast<uint16_t>(solo5::HvtHypercall::kHalt);

// Descriptors, all with the accessed bit set.
constexpr uint64_t kKernelCodeDescriptor = 0x00af9b000000ffff;
constexpr uint64_t kKernelDataDescriptor = 0x00cf93000000ffff;
constexpr uint64_t kUserCodeDescriptor = 0x00affb000000ffff;
constexpr uint64_t kUserDataDescriptor = 0x00cff3000000ffff;

void Put(uint8_t* system, uint64_t address, uint64_t value) {
  std::memcpy(system + (address - kSystemBase), &value, sizeof(value));
}

void PutSegment(uint8_t* system, uint16_t selector, uint64_t descriptor) {
  Put(system, kGdtAddress + (selector & ~7u), descriptor);
}

void BuildGdt(uint8_t* system) {
  PutSegment(system, kKernelCode, kKernelCodeDescriptor);
  PutSegment(system, kKernelData, kKernelDataDescriptor);
  PutSegment(system, kUserCode, kUserCodeDescriptor);
  PutSegment(system, kUserData, kUserDataDescriptor);
  // A busy 64-bit TSS.
  const uint64_t low = uint64_t{kTssSize - 1} | (kTssAddress & 0xffffff) << 16 |
                       uint64_t{0x8b} << 40 | (kTssAddress >> 24 & 0xff) << 56;
  PutSegment(system, kTaskState, low);
  PutSegment(system, kTaskState + 8, kTssAddress >> 32);
}

// A set bit forbids a port; one for each byte of an access is looked at.
void AllowPort(uint8_t* map, uint16_t port) {
  for (unsigned byte = port; byte < port + sizeof(uint32_t); ++byte) {
    map[byte / 8] &= static_cast<uint8_t>(~(1u << byte % 8));
  }
}

// RSP0 stands at offset 4, the offset of the port map at 0x66. The map counts
// where KVM does not go by the guest's IOPL (kIoAtLevel3): a hypercall is an
// exit at once then, and not an exception first.
void BuildTss(uint8_t* system) {
  uint8_t* const tss = system + (kTssAddress - kSystemBase);
  Put(system, kTssAddress + 4, kStackTop);
  std::memcpy(tss + 0x66, &kPortMapOffset, sizeof(kPortMapOffset));
  uint8_t* const map = tss + kPortMapOffset;
  std::memset(map, 0xff, kPortMapSize);
  for (uint16_t call = 1; call <= kLastHypercall; ++call) {
    AllowPort(map, static_cast<uint16_t>(solo5::kHvtPortBase + call));
  }
  AllowPort(map, solo5::kHvtRingPort);
}

void BuildGate(uint8_t* system, uint8_t vector) {
  const uint64_t handler = kStubAddress + vector * kStubSize;
  // A guest may raise these two by an instruction of its own.
  const bool from_user = vector == kBreakpoint || vector == kOverflow;
  const uint64_t type = from_user ? 0xee : 0x8e;  // interrupt gate
  const uint64_t low = (handler & 0xffff) | uint64_t{kKernelCode} << 16 |
                       type << 40 | (handler >> 16 & 0xffff) << 48;
  Put(system, kIdtAddress + vector * 16u, low);
  Put(system, kIdtAddress + vector * 16u + 8, handler >> 32);
}

}  // namespace

void BuildStub(uint8_t* system) {
  BuildGdt(system);
  BuildTss(system);
  for (uint8_t vector = 0; vector < kVectors; ++vector) {
    BuildGate(system, vector);
    // out %al, $vector; hlt (never reached)
    const uint8_t code[] = {0xe6, vector, 0xf4};
    std::memcpy(system + kStubPage * kPageSize + vector * kStubSize, code,
                sizeof(code));
  }
}

std::optional<uint8_t> VectorAt(uint64_t rip) {
  if (rip < kStubAddress || rip >= kStubAddress + kVectors * kStubSize) {
    return std::nullopt;
  }
  return static_cast<uint8_t>((rip - kStubAddress) / kStubSize);
}

bool HasErrorCode(uint8_t vector) {
  // #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX
  constexpr uint32_t kWith =
      1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21 | 1u << 29 | 1u << 30;
  return vector < kVectors && (kWith >> vector & 1) != 0;
}

TrapFrame ReadTrapFrame(const uint8_t* system, uint8_t vector) {
  TrapFrame frame;
  std::memcpy(&frame, system + (kStackTop - kSystemBase) - sizeof(frame),
              sizeof(frame));
  if (!HasErrorCode(vector)) frame.error = 0;
  return frame;
}

}  // namespace serai::tender::hvt
