// SPDX-License-Identifier: Apache-2.0
// Counts, with what it knows spread over memory and registers, and notices when
// any of it changes behind its back: when it is stopped, copied and goes on.
// The compiler uses no vector registers here, so they are all ours.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"lines", "to count to, 20 unless given"},
    {"pause-ms", "milliseconds between two, 50 unless given"},
    {"busy", "do not sleep between two, compute"},
    {"fault", "take an exception with every line (hvt)"},
    {"no-vectors", "keep away from vector registers"},
    {"heap-kib", "KiB of memory to fill, 64 unless given"},
};

constexpr size_t kRegisters = 16;
constexpr uint64_t kStride = 4096;
// Round down, all exceptions masked: what no register holds at its start.
constexpr uint32_t kControl = 0x3f80;
constexpr uint16_t kX87Control = 0x077f;
constexpr uint64_t kInvalidOpcode = 6;

struct alignas(16) Vector {
  uint64_t low, high;
};
struct alignas(16) VectorState {
  uint32_t control;
  uint16_t x87_control;
  double x87_top;
  Vector registers[kRegisters];
};

thread_local uint64_t in_thread_local = 0;
uint64_t in_data = 1;
uint64_t in_bss;

[[noreturn]] void Fail(std::string_view what, uint64_t number) {
  Print("count: wrong ", what, " at ", number);
  Exit(1);
}

uint64_t Mix(uint64_t number, uint64_t index) {
  return (number * 1000003 + index) * 0x9e3779b97f4a7c15;
}

VectorState Expected(uint64_t number) {
  VectorState state = {};
  state.control = kControl;
  state.x87_control = kX87Control;
  const uint64_t bits = 0x3ff0000000000000 | number << 20;
  state.x87_top = __builtin_bit_cast(double, bits);
  for (size_t i = 0; i < kRegisters; ++i) {
    state.registers[i] = {Mix(number, 2 * i), Mix(number, 2 * i + 1)};
  }
  return state;
}

// clang-format off
#define SERAI_EACH_REGISTER(MOVE)                       \
  MOVE("0") MOVE("1") MOVE("2") MOVE("3")               \
  MOVE("4") MOVE("5") MOVE("6") MOVE("7")               \
  MOVE("8") MOVE("9") MOVE("10") MOVE("11")             \
  MOVE("12") MOVE("13") MOVE("14") MOVE("15")
// clang-format on
#define SERAI_LOAD(n) "movaps " n "*16(%0), %%xmm" n "\n\t"
#define SERAI_STORE(n) "movaps %%xmm" n ", " n "*16(%0)\n\t"

void LoadVectors(const VectorState& state) {
  asm volatile("fninit; fldcw %0; fldl %1"
               :
               : "m"(state.x87_control), "m"(state.x87_top));
  asm volatile("ldmxcsr %0" : : "m"(state.control));
  asm volatile(SERAI_EACH_REGISTER(SERAI_LOAD)
               :
               : "r"(state.registers)
               : "memory");
}

void StoreVectors(VectorState* state) {
  asm volatile("fstl %0; fnstcw %1"
               : "=m"(state->x87_top), "=m"(state->x87_control));
  asm volatile("stmxcsr %0" : "=m"(state->control));
  asm volatile(SERAI_EACH_REGISTER(SERAI_STORE)
               :
               : "r"(state->registers)
               : "memory");
}

void CheckVectors(uint64_t number) {
  static VectorState found;
  const VectorState expected = Expected(number);
  StoreVectors(&found);
  if (found.control != expected.control) Fail("MXCSR", number);
  if (found.x87_control != expected.x87_control) Fail("control word", number);
  if (__builtin_memcmp(&found.x87_top, &expected.x87_top,
                       sizeof(found.x87_top)) != 0) {
    Fail("x87 register", number);
  }
  if (__builtin_memcmp(found.registers, expected.registers,
                       sizeof(found.registers)) != 0) {
    Fail("vector register", number);
  }
}

std::span<std::byte> heap;

// Every second page; the others stay as they are, which is zero.
void FillHeap(uint64_t number) {
  for (size_t at = 0; at < heap.size(); at += 2 * kStride) {
    const uint64_t value = Mix(number, at);
    __builtin_memcpy(&heap[at], &value, sizeof(value));
  }
}

void CheckHeap(uint64_t number) {
  for (size_t at = 0; at < heap.size(); at += kStride) {
    uint64_t value = 0;
    __builtin_memcpy(&value, &heap[at], sizeof(value));
    if (value != (at % (2 * kStride) == 0 ? Mix(number, at) : 0)) {
      Fail("memory", number);
    }
  }
}

void CheckVariables(uint64_t number) {
  if (in_thread_local != number) Fail("thread-local variable", number);
  if (in_data != number + 1 || in_bss != 2 * number) Fail("variable", number);
}

bool SkipUndefined(TrapFrame& frame) {
  if (frame.vector != kInvalidOpcode) return false;
  frame.rip += 2;
  return true;
}

// The time in which a snapshot is taken. Callee-saved registers have their turn
// in the busy loop.
void Pause(uint64_t duration, bool busy, uint64_t number) {
  const uint64_t start = MonotonicTime();
  if (!busy) {
    // Someone may wake us up early.
    for (uint64_t now = start; now < start + duration; now = MonotonicTime()) {
      if (now < start) Fail("time", number);
      Poll(start + duration - now);
    }
    return;
  }
  uint64_t sum = number;
  uint64_t check = ~number;
  for (uint64_t now = start; now < start + duration;) {
    for (int i = 0; i < 1000; ++i) {
      asm volatile("add $3, %0; sub $3, %1" : "+r"(sum), "+r"(check));
    }
    const uint64_t last = now;
    now = MonotonicTime();
    if (now < last) Fail("time", number);
    if (sum != ~check) Fail("register", number);
  }
}

}  // namespace

int Main() {
  const Options options("count", kOptions);
  const uint64_t lines = options.Number("lines", 20, 1'000'000);
  const uint64_t pause =
      options.Number("pause-ms", 50, 3'600'000) * kMillisecond;
  const bool busy = options.Flag("busy");
  const bool fault = options.Flag("fault") && SetTrapHandler(SkipUndefined);
  const bool vectors = !options.Flag("no-vectors");
  heap = Heap();
  const uint64_t wanted = options.Number("heap-kib", 64, 4 << 20) * 1024;
  if (wanted < heap.size()) heap = heap.first(wanted);
  for (uint64_t number = 1; number <= lines; ++number) {
    in_thread_local = number;
    in_data = number + 1;
    in_bss = 2 * number;
    FillHeap(number);
    if (vectors) LoadVectors(Expected(number));
    Print("count: ", number);
    Pause(pause, busy, number);
    if (fault) asm volatile("ud2");
    if (vectors) CheckVectors(number);
    CheckHeap(number);
    CheckVariables(number);
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
