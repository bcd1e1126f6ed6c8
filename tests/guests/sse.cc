// SPDX-License-Identifier: Apache-2.0
// Uses what a compiler takes for granted: vector registers, thread-local
// variables, and (hvt) exceptions that its own handler repairs.

#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

using Doubles [[gnu::vector_size(16)]] = double;

constexpr int kTerms = 1'000'000;
// The sum of 1/n², to kTerms terms in two lanes: IEEE 754 leaves no choice.
constexpr uint64_t kExpectedSum = 0x3ffa51a555e397d8;
constexpr uint64_t kExpectedRoot = 0x3ff6a09e667f3bcd;  // of 2
constexpr uint64_t kInvalidOpcode = 6;

thread_local uint64_t initialized = 0x5e7a1;
thread_local uint64_t zeroed;

volatile uint64_t traps;

uint64_t Bits(double value) { return __builtin_bit_cast(uint64_t, value); }

double Sum() {
  Doubles sum = {0, 0};
  Doubles n = {1, 2};
  for (int i = 0; i < kTerms; i += 2) {
    sum += 1.0 / (n * n);
    n += 2.0;
  }
  return sum[0] + sum[1];
}

double Root(double value) {
  double root;
  asm volatile("sqrtsd %1, %0" : "=x"(root) : "x"(value));
  return root;
}

// Goes on behind the two bytes of ud2.
bool SkipUndefined(TrapFrame& frame) {
  if (frame.vector != kInvalidOpcode) return false;
  traps = traps + 1;
  frame.rip += 2;
  return true;
}

[[noreturn]] void Fail(std::string_view what) {
  Print("sse: wrong ", what);
  Exit(1);
}

void CheckArithmetic() {
  const uint64_t sum = Bits(Sum());
  const uint64_t root = Bits(Root(2));
  Print("sse: sum ", Hex{sum}, ", root ", Hex{root});
  if (sum != kExpectedSum) Fail("sum");
  if (root != kExpectedRoot) Fail("root");
}

void CheckThreadLocals() {
  // Volatile, or the compiler would know.
  volatile uint64_t& first = initialized;
  volatile uint64_t& second = zeroed;
  if (first != 0x5e7a1 || second != 0) Fail("thread-local variables");
  first = 1;
  second = 2;
  if (first + second != 3) Fail("thread-local variables");
  Print("sse: thread-local variables work");
}

void CheckTraps() {
  if (!SetTrapHandler(SkipUndefined)) {
    Print("sse: no exceptions on this target");
    return;
  }
  const double before = Root(3);
  uint64_t kept = 0x1234;
  for (int i = 0; i < 3; ++i) {
    asm volatile("ud2" : "+r"(kept) : : "memory");
  }
  if (traps != 3) Fail("count of exceptions");
  if (kept != 0x1234 || Bits(before) != Bits(Root(3))) Fail("registers");
  Print("sse: came back from ", uint64_t{traps}, " exceptions");
}

}  // namespace

int Main() {
  CheckThreadLocals();
  CheckArithmetic();
  CheckTraps();
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
