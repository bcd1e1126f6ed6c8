// SPDX-License-Identifier: Apache-2.0
// A file laid out as awkwardly as those of MirageOS are, and as large
// (layout.ld, pages.S): that all of it is where it has to be.

#include "tests/guests/runtime/checks.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kTextPages = 1024;
constexpr size_t kConstantPages = 768;
constexpr size_t kDataPages = 512;
constexpr uint64_t kFill = 0x5e5e5e5e5e5e5e5e;
constexpr size_t kWordsPerPage = kPage / sizeof(uint64_t);
constexpr size_t kZeroes = 64 << 20;
constexpr size_t kZeroStride = 256 << 10;

}  // namespace

// pages.S
extern "C" {
extern const char serai_text_pages[kTextPages][kPage];
extern const volatile uint64_t serai_constant_pages[kConstantPages]
                                                   [kWordsPerPage];
extern volatile uint64_t serai_data_pages[kDataPages][kWordsPerPage];
}

namespace {

Checks checks;

alignas(kPage) volatile uint8_t zeroes[kZeroes];

thread_local uint64_t first;
thread_local uint64_t second;
struct alignas(64) Aligned {
  uint64_t value;
};
thread_local Aligned aligned;

uint32_t CallPage(size_t page) {
  uint32_t result;
  asm volatile("call *%1" : "=a"(result) : "r"(serai_text_pages[page]) : "cc");
  return result;
}

// Here and there, backwards, so that nothing that reads ahead helps.
void CheckPages() {
  size_t wrong = 0;
  for (size_t page = kTextPages; page-- > 0;) {
    if (page % 7 == 3 && CallPage(page) != page) ++wrong;
  }
  checks.Check("text-pages", wrong == 0, wrong, " are wrong");
  wrong = 0;
  for (size_t page = kConstantPages; page-- > 0;) {
    if (page % 11 == 5 && (serai_constant_pages[page][0] != page ||
                           serai_constant_pages[page][511] != kFill)) {
      ++wrong;
    }
  }
  checks.Check("constant-pages", wrong == 0, wrong, " are wrong");
}

void CheckData() {
  for (size_t page = 0; page < kDataPages; page += 9) {
    serai_data_pages[page][17] = ~page;
  }
  size_t wrong = 0;
  for (size_t page = 0; page < kDataPages; page += 3) {
    const uint64_t expected = page % 9 == 0 ? ~page : kFill;
    if (serai_data_pages[page][0] != page ||
        serai_data_pages[page][17] != expected ||
        serai_data_pages[page][511] != kFill) {
      ++wrong;
    }
  }
  checks.Check("data-pages", wrong == 0, wrong, " are wrong");
}

void CheckZeroes() {
  size_t wrong = 0;
  for (size_t at = 0; at < kZeroes; at += kZeroStride) {
    if (zeroes[at] != 0 || zeroes[at + kZeroStride - 1] != 0) ++wrong;
  }
  checks.Check("bss-zeroed", wrong == 0, wrong, " are not");
  zeroes[0] = 1;
  zeroes[kZeroes - 1] = 2;
  checks.Check("bss-written",
               zeroes[0] == 1 && zeroes[kZeroes - 1] == 2 && zeroes[1] == 0);
}

// Static storage ends at the thread pointer, which points to itself.
void CheckThreadLocals() {
  volatile uint64_t& a = first;
  volatile uint64_t& b = second;
  volatile uint64_t& c = aligned.value;
  checks.Check("tls-zeroed", a == 0 && b == 0 && c == 0);
  a = 1;
  b = 2;
  c = 3;
  checks.Check("tls-written", a == 1 && b == 2);
  uint64_t self;
  asm volatile("movq %%fs:0, %0" : "=r"(self));
  checks.Check("tls-aligned", (reinterpret_cast<uint64_t>(&aligned) & 63) == 0);
  const auto place = reinterpret_cast<uint64_t>(&first);
  checks.Check("tls-place", place < self && self - place < 1024, Hex{self}, " ",
               Hex{place});
}

void CheckHeap() {
  const auto heap = Heap();
  const auto begin = reinterpret_cast<uint64_t>(heap.data());
  checks.Check("heap-behind-bss",
               begin >= reinterpret_cast<uint64_t>(zeroes) + kZeroes,
               Hex{begin});
  size_t wrong = 0;
  for (size_t at = 0; at < heap.size(); at += 1 << 20) {
    if (heap[at] != std::byte{0}) ++wrong;
  }
  checks.Check("heap-zeroed", wrong == 0, wrong, " are not");
}

}  // namespace

int Main() {
  CheckThreadLocals();
  CheckPages();
  CheckData();
  CheckZeroes();
  CheckHeap();
  return checks.Finish();
}

}  // namespace serai::guest
