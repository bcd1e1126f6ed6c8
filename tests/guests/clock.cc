// SPDX-License-Identifier: Apache-2.0
// Compares its clocks with each other and with a sleep.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"sleep-ms", "milliseconds to sleep, 100 unless given"},
};

// A shared machine may wake us up late, but not this late.
constexpr uint64_t kPatience = 5 * kSecond;
// The clocks may be adjusted against each other, by this much.
constexpr uint64_t kDrift = 50 * kMillisecond;
// 2020-01-01T00:00:00Z.
constexpr uint64_t kLongAgo = 1'577'836'800 * kSecond;

struct UtcTime {
  uint64_t nanoseconds;
};

// The civil date of a day, by counting from a first of March.
void AppendTo(Writer& writer, UtcTime time) {
  const uint64_t seconds = time.nanoseconds / kSecond;
  const uint64_t days = seconds / 86400 + 719468;  // since 0000-03-01
  const uint64_t era = days / 146097;
  const uint64_t day_of_era = days % 146097;
  const uint64_t year_of_era = (day_of_era - day_of_era / 1460 +
                                day_of_era / 36524 - day_of_era / 146096) /
                               365;
  const uint64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t shifted_month = (5 * day_of_year + 2) / 153;
  const uint64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const uint64_t month = shifted_month + (shifted_month < 10 ? 3 : -9ULL);
  const uint64_t year = era * 400 + year_of_era + (month <= 2);
  AppendTo(writer, Padded{year, 4});
  writer.Append('-');
  AppendTo(writer, Padded{month, 2});
  writer.Append('-');
  AppendTo(writer, Padded{day, 2});
  writer.Append('T');
  AppendTo(writer, Padded{seconds / 3600 % 24, 2});
  writer.Append(':');
  AppendTo(writer, Padded{seconds / 60 % 60, 2});
  writer.Append(':');
  AppendTo(writer, Padded{seconds % 60, 2});
  writer.Append('.');
  AppendTo(writer, Padded{time.nanoseconds % kSecond, 9});
  writer.Append('Z');
}

[[noreturn]] void Fail(std::string_view what) {
  Print("clock: ", what);
  Exit(1);
}

void CheckMonotonic() {
  uint64_t last = MonotonicTime();
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = MonotonicTime();
    if (now < last) Fail("monotonic time went backwards");
    last = now;
  }
}

}  // namespace

int Main() {
  const Options options("clock", kOptions);
  const uint64_t sleep =
      options.Number("sleep-ms", 100, 3'600'000) * kMillisecond;
  const uint64_t wall = WallTime();
  Print("clock: wall ", UtcTime{wall});
  if (wall < kLongAgo) Fail("wall clock is not set");
  CheckMonotonic();

  const uint64_t begin = MonotonicTime();
  Poll(sleep);
  const uint64_t slept = MonotonicTime() - begin;
  const uint64_t wall_slept = WallTime() - wall;
  Print("clock: asked for ", sleep, " ns, slept ", slept, " ns, wall clock ",
        wall_slept, " ns");
  if (slept + kDrift < sleep) Fail("woke up early");
  if (slept > sleep + kPatience) Fail("woke up late");
  if (wall_slept + kDrift < slept || wall_slept > slept + kPatience) {
    Fail("wall and monotonic clock do not agree");
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
