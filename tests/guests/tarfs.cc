// SPDX-License-Identifier: Apache-2.0
// Lists and prints the files of the tar that is its device, as MirageOS' tar
// key-value store finds them: header after header, each in a sector.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(BlockDevice("config"));

namespace {

constexpr OptionSpec kOptions[] = {
    {"names", "print no contents"},
};

constexpr size_t kSector = 512;
constexpr size_t kMaxShown = 200;

alignas(4096) char sector[kSector];

[[noreturn]] void Fail(std::string_view what, uint64_t offset) {
  Print("tarfs: ", what, " at ", offset);
  Exit(1);
}

void ReadSector(const Device& device, uint64_t offset) {
  const IoResult result =
      BlockRead(device, offset, reinterpret_cast<std::byte*>(sector), kSector);
  if (result != IoResult::kOk) Fail(Name(result), offset);
}

std::string_view Field(size_t at, size_t size) {
  size_t length = 0;
  while (length < size && sector[at + length] != '\0') ++length;
  return {sector + at, length};
}

uint64_t Octal(size_t at, size_t size) {
  uint64_t value = 0;
  for (const char c : Field(at, size)) {
    if (c >= '0' && c <= '7')
      value = value * 8 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

bool IsZero() {
  for (const char c : sector) {
    if (c != '\0') return false;
  }
  return true;
}

// The sum of a header's bytes, its own field taken as spaces.
uint64_t Sum() {
  uint64_t sum = 0;
  for (size_t i = 0; i < kSector; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(sector[i]);
  }
  return sum;
}

void PrintEntry(const Device& device, uint64_t data, bool contents) {
  char name_data[256];
  Writer name(name_data, sizeof(name_data));
  if (!Field(345, 155).empty()) {
    name.Append(Field(345, 155));
    name.Append('/');
  }
  name.Append(Field(0, 100));
  const uint64_t size = Octal(124, 12);
  Print("tarfs: ", name.text(), " type ", Field(156, 1), " mode ",
        Field(100, 8), " size ", size);
  if (!contents || size == 0) return;
  ReadSector(device, data);
  const size_t shown = size < kMaxShown ? size : kMaxShown;
  Print("tarfs: ", name.text(), " holds '", std::string_view(sector, shown),
        "'");
}

}  // namespace

int Main() {
  const Options options("tarfs", kOptions);
  const Device device = FindDevice("config", kBlockDevice);
  if (device.block_size != kSector) Fail("no sectors of 512 bytes", 0);
  Print("tarfs: capacity ", device.capacity);
  uint64_t entries = 0;
  for (uint64_t at = 0; at < device.capacity; ++entries) {
    ReadSector(device, at);
    if (IsZero()) {
      Print("tarfs: ", entries, " entries");
      Print("SUCCESS");
      return 0;
    }
    if (Field(257, 6) != "ustar" || Octal(148, 8) != Sum()) {
      Fail("no header", at);
    }
    const uint64_t size = Octal(124, 12);
    PrintEntry(device, at + kSector, !options.Flag("names"));
    at += kSector + (size + kSector - 1) / kSector * kSector;
  }
  Fail("no end", device.capacity);
}

}  // namespace serai::guest
