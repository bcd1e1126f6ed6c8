// SPDX-License-Identifier: Apache-2.0
// A file as large as those of MirageOS, 9 MiB, of which a start touches one
// page in eight: for measuring what loading costs.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

// 5 MiB of code (each word two nops and a return), 3 MiB of constants, 1 MiB of
// data.
asm(R"(
  .pushsection .text.large, "ax"
  .balign 4096
serai_large_code:
  .fill 5 << 20 >> 2, 4, 0x90c39090
  .popsection
  .pushsection .rodata.large, "a"
  .balign 4096
serai_large_constants:
  .fill 3 << 20 >> 2, 4, 0x12345678
  .popsection
  .pushsection .data.large, "aw"
  .balign 4096
serai_large_data:
  .fill 1 << 20 >> 2, 4, 0x12345678
  .popsection
)");

extern "C" {
extern const char serai_large_code[5 << 20];
extern const char serai_large_constants[3 << 20];
extern volatile char serai_large_data[1 << 20];
}

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"idle", "sleep for ever"},
};

constexpr size_t kStride = 8 * 4096;

}  // namespace

int Main() {
  const Options options("large", kOptions);
  for (size_t at = 0; at < sizeof(serai_large_code); at += kStride) {
    reinterpret_cast<void (*)()>(
        reinterpret_cast<uintptr_t>(serai_large_code + at))();
  }
  uint64_t sum = 0;
  for (size_t at = 0; at < sizeof(serai_large_constants); at += kStride) {
    const volatile char* const constant = serai_large_constants + at;
    sum += static_cast<unsigned char>(*constant);
  }
  for (size_t at = 0; at < sizeof(serai_large_data); at += kStride) {
    sum += static_cast<unsigned char>(serai_large_data[at]);
    serai_large_data[at] = 0;
  }
  Print("large: ", sum);
  if (options.Flag("idle")) {
    Print("large: idle");
    while (true) Poll(3600 * kSecond);
  }
  return 0;
}

}  // namespace serai::guest
