// SPDX-License-Identifier: Apache-2.0
// Hypercalls (hvt) with addresses, lengths and handles that are nobody's.

#include "tests/guests/evil/evil.h"
#include "tests/guests/runtime/hvt/hypercall.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"call", "the hypercall"},
    {"pointer", "where its structure stands; somewhere good unless given"},
    {"data", "what the structure points to; somewhere good unless given"},
    {"size", "the length in the structure, 16 unless given"},
    {"handle", "the device's handle, 1 unless given"},
};

constexpr uint64_t kFourGiB = uint64_t{1} << 32;
constexpr uint64_t kAbort = 255;

// Filled at run time, or the compiler would put it into .bss.
alignas(64) uint64_t good[64] = {1};
const char constant[64] = "this is never written to";

template <typename T>
uint64_t Address(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

struct Place {
  std::string_view name;
  uint64_t (*address)();
};
constexpr Place kPlaces[] = {
    {"good", [] { return Address(good); }},
    {"null", [] { return uint64_t{0}; }},
    // Where upstream's tender has its page tables.
    {"tables", [] { return uint64_t{0x2000}; }},
    {"boot", [] { return uint64_t{0x10000}; }},
    {"readonly", [] { return uint64_t{0xfff00}; }},
    {"text", [] { return Address(&Main); }},
    {"constant", [] { return Address(constant); }},
    // Begins below the first MiB's end and reaches into the text.
    {"boundary", [] { return uint64_t{0xffffc}; }},
    {"straddle", [] { return MemorySize() - 4; }},
    {"end", [] { return MemorySize(); }},
    {"beyond", [] { return MemorySize() + 0x1000; }},
    {"last32", [] { return kFourGiB - 8; }},
    // The tender's own part of the machine.
    {"system", [] { return kFourGiB; }},
    {"stack", [] { return kFourGiB + 0x2000; }},
    {"noncanonical", [] { return uint64_t{1} << 47; }},
    {"half", [] { return uint64_t{1} << 63; }},
    {"wrap", [] { return ~uint64_t{7}; }},
};

struct Size {
  std::string_view name;
  uint64_t value;
};
constexpr Size kSizes[] = {
    {"zero", 0},
    {"one", 1},
    {"int31", 0x8000'0000},
    {"int32", kFourGiB},
    {"half", uint64_t{1} << 63},
    {"negative", ~uint64_t{0}},
    // With data at "good" the sum is 0, or small.
    {"wrap", 0 - uint64_t{0x100000}},
};

// The place of each field in the call's structure, in words; none: -1.
struct Layout {
  std::string_view name;
  Hypercall call;
  int handle, data, size, result;
};
constexpr Layout kCalls[] = {
    {"walltime", Hypercall::kWallTime, -1, -1, -1, -1},
    {"puts", Hypercall::kPuts, -1, 0, 1, -1},
    {"poll", Hypercall::kPoll, -1, -1, -1, 2},
    {"block-write", Hypercall::kBlockWrite, 0, 2, 3, 4},
    {"block-read", Hypercall::kBlockRead, 0, 2, 3, 4},
    {"net-write", Hypercall::kNetWrite, 0, 1, 2, 3},
    {"net-read", Hypercall::kNetRead, 0, 1, 2, 3},
    {"halt", Hypercall::kHalt, -1, 0, 1, -1},
};

uint64_t PlaceOption(const Options& options, std::string_view name) {
  const std::string_view value = options.Value(name).value_or("good");
  for (const Place& place : kPlaces) {
    if (place.name == value) return place.address();
  }
  options.Reject(name, "a place");
}

uint64_t SizeOption(const Options& options, uint64_t otherwise) {
  const auto value = options.Value("size");
  if (!value.has_value()) return otherwise;
  for (const Size& size : kSizes) {
    if (size.name == *value) return size.value;
  }
  return options.Number("size", 0, UINT64_MAX);
}

const Layout& CallOption(const Options& options) {
  const std::string_view value = options.Value("call").value_or("");
  for (const Layout& layout : kCalls) {
    if (layout.name == value) return layout;
  }
  options.Reject("call", "a hypercall");
}

void Set(uint64_t* words, int field, uint64_t value) {
  if (field >= 0) words[field] = value;
}

}  // namespace

int Main() {
  const Options options("evil_pointers", kOptions);
  const Layout& layout = CallOption(options);
  static uint64_t words[8];
  words[layout.result < 0 ? 7 : layout.result] = 0x77;
  // The only size of halt's structure is its status.
  const uint64_t size = layout.call == Hypercall::kHalt ? kAbort : 16;
  Set(words, layout.handle, options.Number("handle", 1, UINT64_MAX));
  Set(words, layout.data, PlaceOption(options, "data"));
  Set(words, layout.size, SizeOption(options, size));
  Print("evil: about to call ", layout.name);
  const uint64_t pointer = PlaceOption(options, "pointer");
  Call(layout.call, options.Value("pointer").has_value()
                        ? reinterpret_cast<uint64_t*>(pointer)
                        : words);
  if (layout.result >= 0) {
    Print("evil: result ", words[layout.result] & 0xffffffff);
  }
  Print("evil: nothing happened");
  return 0;
}

}  // namespace serai::guest
