// SPDX-License-Identifier: Apache-2.0
// What the headers of libstdc++ call when one of their checks fails. With these
// two here nothing else of that library is linked: no exceptions, no unwinder,
// no locales.

#include <array>
#include <string_view>

#include "tender/report.h"

namespace std {

void __throw_out_of_range_fmt(const char* format, ...) {
  serai::tender::Fatal("bug: %s", format);
}

#if defined(_GLIBCXX_ASSERTIONS)
void __glibcxx_assert_fail(const char* file, int line, const char* function,
                           const char* condition) noexcept {
  serai::tender::Fatal("bug: %s:%d: %s: %s", file, line, function, condition);
}
#endif

}  // namespace std

// What a table of virtual functions holds where an interface has none.
extern "C" void __cxa_pure_virtual();
void __cxa_pure_virtual() {
  serai::tender::Fatal("bug: pure virtual function called");
}
