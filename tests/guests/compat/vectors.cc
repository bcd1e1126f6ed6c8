// SPDX-License-Identifier: Apache-2.0
// What a processor computes with: x87, SSE, AVX where CPUID tells of it, and
// each of the extensions that it tells of; and that nothing of theirs is lost
// while the guest is out at its tender or in a handler.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/checks.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"emulated", "leave out what QEMU's own processor does not do: SSE errors"},
};

constexpr uint64_t kDivideError = 16;  // x87's
constexpr uint64_t kSimdError = 19;

Checks checks;

struct Leaf {
  uint32_t eax, ebx, ecx, edx;
};

Leaf Cpuid(uint32_t function, uint32_t index = 0) {
  Leaf leaf;
  asm volatile("cpuid"
               : "=a"(leaf.eax), "=b"(leaf.ebx), "=c"(leaf.ecx), "=d"(leaf.edx)
               : "a"(function), "c"(index));
  return leaf;
}

bool HasBit(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

// ---- x87 and SSE ---------------------------------------------------------

struct [[gnu::packed]] Extended {
  uint64_t mantissa;
  uint16_t exponent;
};

void CheckX87() {
  uint16_t control = 0;
  asm volatile("fnstcw %0" : "=m"(control));
  checks.Equal("x87-control-word", control, uint16_t{0x37f});
  Extended pi = {};
  asm volatile("fldpi; fstpt %0" : "=m"(pi));
  checks.Check("x87-pi",
               pi.exponent == 0x4000 && pi.mantissa == 0xc90fdaa22168c235,
               Hex{pi.exponent}, " ", Hex{pi.mantissa});
  Extended root = {};
  asm volatile("fld1; fld1; faddp; fsqrt; fstpt %0" : "=m"(root));
  checks.Check("x87-sqrt",
               root.exponent == 0x3fff && root.mantissa == 0xb504f333f9de6484,
               Hex{root.exponent}, " ", Hex{root.mantissa});
}

void CheckSse() {
  uint32_t control = 0;
  asm volatile("stmxcsr %0" : "=m"(control));
  checks.Equal("mxcsr", control & 0xffc0, 0x1f80u);
  double value = 2;
  asm volatile("sqrtsd %0, %0" : "+x"(value));
  checks.Equal("sse-sqrt", __builtin_bit_cast(uint64_t, value),
               uint64_t{0x3ff6a09e667f3bcd});
}

// The state that FXSAVE stores goes out, is destroyed, and comes back.
void CheckSaving() {
  alignas(16) static uint8_t saved[512];
  uint64_t value = 0;
  asm volatile(
      "movq %[in], %%xmm7\n\t"
      "fldpi\n\t"
      "fxsave %[saved]\n\t"
      "fninit\n\t"
      "xorps %%xmm7, %%xmm7\n\t"
      "fxrstor %[saved]\n\t"
      "movq %%xmm7, %[out]\n\t"
      "fstp %%st(0)"
      : [out] "=r"(value), [saved] "+m"(saved)
      : [in] "r"(uint64_t{0x1122334455667788})
      : "xmm7", "memory");
  checks.Equal("fxsave-fxrstor", value, uint64_t{0x1122334455667788});
}

// ---- What is kept --------------------------------------------------------

constexpr size_t kRegisters = 16;

struct alignas(32) Wide {
  uint64_t word[4];
};
Wide before[kRegisters];
Wide after[kRegisters];

void Prepare() {
  for (size_t i = 0; i < kRegisters; ++i) {
    for (size_t j = 0; j < 4; ++j) {
      before[i].word[j] = 0x0101010101010101 * (i + 1) + j;
    }
    after[i] = {};
  }
}

bool Kept(size_t words) {
  bool same = true;
  for (size_t i = 0; i < kRegisters; ++i) {
    for (size_t j = 0; j < words; ++j) {
      same = same && before[i].word[j] == after[i].word[j];
    }
  }
  return same;
}

#define EACH_REGISTER(X) \
  X(0)                   \
  X(1)                   \
  X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_XMM(n) "movaps " #n "*32(%[before]), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movaps %%xmm" #n ", " #n "*32(%[after])\n\t"
#define LOAD_YMM(n) "vmovaps " #n "*32(%[before]), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovaps %%ymm" #n ", " #n "*32(%[after])\n\t"

// The runtime that `away` calls uses none of these registers.
#define CALL_AWAY "call *%[away]\n\t"
#define CALLED_REGISTERS                                              \
  "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", \
      "memory", "cc"

void KeepXmm(void (*away)()) {
  Prepare();
  asm volatile("movq %%rsp, %%r12; andq $-16, %%rsp\n\t" EACH_REGISTER(LOAD_XMM)
                   CALL_AWAY EACH_REGISTER(STORE_XMM) "movq %%r12, %%rsp"
               :
               : [before] "b"(before), [after] "r"(+after), [away] "r"(away)
               : CALLED_REGISTERS, "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
                 "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                 "xmm12", "xmm13", "xmm14", "xmm15");
}

void KeepYmm(void (*away)()) {
  Prepare();
  asm volatile(
      "movq %%rsp, %%r12; andq $-16, %%rsp\n\t"
      EACH_REGISTER(LOAD_YMM) CALL_AWAY EACH_REGISTER(STORE_YMM)
      "vzeroupper\n\t"
      "movq %%r12, %%rsp"
      :
      : [before] "b"(before), [after] "r"(+after), [away] "r"(away)
      : CALLED_REGISTERS, "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
        "xmm14", "xmm15");
}

uint64_t last_vector;

bool SkipUndefined(TrapFrame& frame) {
  last_vector = frame.vector;
  frame.rip += 2;
  return true;
}

struct Away {
  std::string_view xmm;
  std::string_view ymm;
  void (*go)();
  bool traps;
};
constexpr Away kAways[] = {
    {"xmm-over-clock", "ymm-over-clock", [] { WallTime(); }, false},
    {"xmm-over-console", "ymm-over-console", [] { WriteConsole("ok -\n"); },
     false},
    {"xmm-over-sleep", "ymm-over-sleep", [] { Poll(3 * kMillisecond); }, false},
    {"xmm-over-exception", "ymm-over-exception", [] { asm volatile("ud2"); },
     true},
};

void CheckKept(bool avx, bool traps) {
  for (const Away& away : kAways) {
    if (away.traps && !traps) continue;
    KeepXmm(away.go);
    checks.Check(away.xmm, Kept(2));
    if (!avx) continue;
    KeepYmm(away.go);
    checks.Check(away.ymm, Kept(4));
  }
}

// ---- Errors of arithmetic, where the guest has handlers ------------------

// Goes on behind the instruction, with errors masked again.
uint64_t after_error;
bool GoOnAfterError(TrapFrame& frame) {
  last_vector = frame.vector;
  frame.rip = after_error;
  constexpr uint32_t kMasked = 0x1f80;
  asm volatile("fninit; ldmxcsr %0" : : "m"(kMasked));
  return true;
}

void CheckSseErrors() {
  last_vector = 0;
  constexpr uint32_t kUnmasked = 0x1d80;  // division by zero raises
  asm volatile(
      "leaq 1f(%%rip), %%rax\n\t"
      "movq %%rax, %[after]\n\t"
      "ldmxcsr %[control]\n\t"
      "xorps %%xmm1, %%xmm1\n\t"
      "divss %%xmm1, %%xmm0\n\t"
      "1:"
      : [after] "=m"(after_error)
      : [control] "m"(kUnmasked), "x"(1.0f)
      : "rax", "xmm0", "xmm1", "memory");
  checks.Equal("simd-error", last_vector, kSimdError);
}

void CheckX87Errors() {
  last_vector = 0;
  constexpr uint16_t kX87Unmasked = 0x37b;
  asm volatile(
      "leaq 1f(%%rip), %%rax\n\t"
      "movq %%rax, %[after]\n\t"
      "fldcw %[control]\n\t"
      "fld1; fldz; fdivrp\n\t"
      "fwait\n\t"
      "1:"
      : [after] "=m"(after_error)
      : [control] "m"(kX87Unmasked)
      : "rax", "memory");
  checks.Equal("x87-error", last_vector, kDivideError);
}

// ---- Extensions ----------------------------------------------------------

struct Extension {
  std::string_view name;
  bool told;
  uint64_t (*run)();
  uint64_t expected;
};

uint64_t Popcnt() {
  uint64_t value = 0xff00ff;
  asm volatile("popcntq %0, %0" : "+r"(value));
  return value;
}

uint64_t Crc32() {
  uint64_t value = 0;
  asm volatile("crc32q %1, %0" : "+r"(value) : "r"(uint64_t{1}));
  return value;
}

uint64_t Carryless() {
  uint64_t value = 3;
  asm volatile("movq %0, %%xmm0; pclmulqdq $0, %%xmm0, %%xmm0; movq %%xmm0, %0"
               : "+r"(value)
               :
               : "xmm0");
  return value;
}

// One round over zeros is the S-box of zero everywhere.
uint64_t Aes() {
  uint64_t value = 0;
  asm volatile(
      "pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1\n\t"
      "aesenclast %%xmm1, %%xmm0; movq %%xmm0, %0"
      : "=r"(value)
      :
      : "xmm0", "xmm1");
  return value;
}

uint64_t Movbe() {
  uint64_t value = 0x0102030405060708;
  asm volatile("movbeq %1, %0" : "=r"(value) : "m"(value));
  return value;
}

uint64_t Shuffle() {
  uint64_t value = 0x55;
  asm volatile(
      "movq %0, %%xmm0; pxor %%xmm1, %%xmm1; pshufb %%xmm1, %%xmm0; "
      "movq %%xmm0, %0"
      : "+r"(value)
      :
      : "xmm0", "xmm1");
  return value;
}

// That a number comes, whichever.
uint64_t Random() {
  for (int i = 0; i < 100; ++i) {
    uint64_t value;
    bool done;
    asm volatile("rdrand %0" : "=r"(value), "=@ccc"(done));
    if (done) return 1;
  }
  return 0;
}

uint64_t Seed() {
  for (int i = 0; i < 10000; ++i) {
    uint64_t value;
    bool done;
    asm volatile("rdseed %0" : "=r"(value), "=@ccc"(done));
    if (done) return 1;
    asm volatile("pause");
  }
  return 1;  // it may be out of them
}

uint64_t Bmi1() {
  uint64_t value;
  asm volatile("andn %1, %1, %0" : "=r"(value) : "r"(uint64_t{5}) : "cc");
  return value;
}

uint64_t Bmi2() {
  uint64_t value;
  asm volatile("pdep %1, %2, %0"
               : "=r"(value)
               : "r"(uint64_t{0xf0}), "r"(uint64_t{5}));
  return value;
}

uint64_t Sha() {
  uint64_t value = 0;
  asm volatile(
      "pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1\n\t"
      "sha1msg1 %%xmm1, %%xmm0; movq %%xmm0, %0"
      : "=r"(value)
      :
      : "xmm0", "xmm1");
  return value;
}

uint64_t Fma() {
  uint64_t value = __builtin_bit_cast(uint64_t, 3.0);
  asm volatile(
      "vmovq %0, %%xmm0; vfmadd213sd %%xmm0, %%xmm0, %%xmm0; vmovq %%xmm0, %0"
      : "+r"(value)
      :
      : "xmm0");
  return value;
}

uint64_t Half() {
  uint64_t value = 0x3c00;
  asm volatile("vmovq %0, %%xmm0; vcvtph2ps %%xmm0, %%xmm0; vmovq %%xmm0, %0"
               : "+r"(value)
               :
               : "xmm0");
  return value;
}

uint64_t Avx2() {
  uint64_t value = 0x10;
  asm volatile(
      "vmovq %0, %%xmm0; vpbroadcastq %%xmm0, %%ymm0; "
      "vpaddq %%ymm0, %%ymm0, %%ymm0; vextracti128 $1, %%ymm0, %%xmm0; "
      "vmovq %%xmm0, %0; vzeroupper"
      : "+r"(value)
      :
      : "xmm0");
  return value;
}

// What CPUID tells of can be used.
void CheckExtensions(bool avx) {
  const Leaf basic = Cpuid(1);
  const Leaf more = Cpuid(0).eax >= 7 ? Cpuid(7) : Leaf{};
  const Extension extensions[] = {
      {"popcnt", HasBit(basic.ecx, 23), Popcnt, 16},
      {"sse4.2", HasBit(basic.ecx, 20), Crc32, 0x493c7d27},
      {"pclmul", HasBit(basic.ecx, 1), Carryless, 5},
      {"aes", HasBit(basic.ecx, 25), Aes, 0x6363636363636363},
      {"movbe", HasBit(basic.ecx, 22), Movbe, 0x0807060504030201},
      {"ssse3", HasBit(basic.ecx, 9), Shuffle, 0x5555555555555555},
      {"rdrand", HasBit(basic.ecx, 30), Random, 1},
      {"rdseed", HasBit(more.ebx, 18), Seed, 1},
      {"bmi1", HasBit(more.ebx, 3), Bmi1, 0},
      {"bmi2", HasBit(more.ebx, 8), Bmi2, 0x50},
      {"sha", HasBit(more.ebx, 29), Sha, 0},
      {"fma", avx && HasBit(basic.ecx, 12), Fma, 0x4028000000000000},
      {"f16c", avx && HasBit(basic.ecx, 29), Half, 0x3f800000},
      {"avx2", avx && HasBit(more.ebx, 5), Avx2, 0x20},
  };
  for (const Extension& extension : extensions) {
    if (!extension.told) {
      Print("no ", extension.name);
      continue;
    }
    checks.Equal(extension.name, extension.run(), extension.expected);
  }
}

// ---- AVX -----------------------------------------------------------------

uint32_t EnabledStates() {
  uint32_t low;
  asm volatile("xgetbv" : "=a"(low) : "c"(0) : "edx");
  return low;
}

// By the book: the processor has it, and somebody has switched it on.
bool HasAvx() {
  const Leaf basic = Cpuid(1);
  return HasBit(basic.ecx, 27) && HasBit(basic.ecx, 28) &&
         (EnabledStates() & 6) == 6;
}

void CheckXsave() {
  constexpr uint32_t kStates = 7;
  const Leaf sizes = Cpuid(0xd);
  checks.Check("xsave-states",
               (sizes.eax & kStates) == kStates && sizes.ebx >= 832,
               Hex{sizes.eax}, " ", sizes.ebx);
  const Leaf ymm = Cpuid(0xd, 2);
  checks.Check("xsave-ymm", ymm.eax == 256 && ymm.ebx == 576, ymm.eax, " ",
               ymm.ebx);
  alignas(64) static uint8_t saved[4096];
  uint64_t value = 0;
  asm volatile(
      "vmovq %[in], %%xmm3\n\t"
      "vinsertf128 $1, %%xmm3, %%ymm3, %%ymm3\n\t"
      "xsave %[saved]\n\t"
      "vzeroall\n\t"
      "xrstor %[saved]\n\t"
      "vextractf128 $1, %%ymm3, %%xmm3\n\t"
      "vmovq %%xmm3, %[out]\n\t"
      "vzeroupper"
      : [out] "=r"(value), [saved] "+m"(saved)
      : [in] "r"(uint64_t{0x8877665544332211}), "a"(kStates), "d"(0)
      : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory");
  checks.Equal("xsave-xrstor", value, uint64_t{0x8877665544332211});
}

}  // namespace

int Main() {
  const Options options("vectors", kOptions);
  const bool avx = HasAvx();
  const bool traps = SetTrapHandler(SkipUndefined);
  CheckX87();
  CheckSse();
  CheckSaving();
  Print(avx ? "avx" : "no avx");
  CheckKept(avx, traps);
  if (avx) CheckXsave();
  CheckExtensions(avx);
  if (traps) {
    SetTrapHandler(GoOnAfterError);
    if (!options.Flag("emulated")) CheckSseErrors();
    CheckX87Errors();
  }
  return checks.Finish();
}

}  // namespace serai::guest
