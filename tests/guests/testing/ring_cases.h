// SPDX-License-Identifier: Apache-2.0
#pragma once

// The cases of the guest that misuses the network ring. Each wants the ring and
// a network device at descriptor kRingDevice, with somebody at its other end.

#include "tests/guests/testing/evil_cases.h"

namespace serai::testing {

inline constexpr int kRingDevice = 200;
inline constexpr std::string_view kRingOptions =
    "--net-ring=on --net:service=@200";
inline constexpr std::string_view kBadIndex = "Invalid guest ring index: ";
inline constexpr std::string_view kBadOperation =
    "Invalid guest ring operation: ";

constexpr GuestCase BreaksRing(std::string_view arguments,
                               std::string_view message = kBadAccess) {
  return With(kRingOptions, Violates("evil_ring", arguments, message));
}
constexpr GuestCase KeepsRing(std::string_view arguments,
                              std::string_view output = kNothing) {
  return With(kRingOptions, GoesOn("evil_ring", "hvt", arguments, output));
}
constexpr GuestCase StoppedInRing(std::string_view arguments,
                                  std::string_view output) {
  return With(kRingOptions, IsStopped("evil_ring", "hvt", arguments, output));
}

inline constexpr GuestCase kRingCases[] = {
    BreaksRing("--how=tail-beyond", kBadIndex),
    BreaksRing("--how=tail-half", kBadIndex),
    BreaksRing("--how=tail-back", kBadIndex),
    BreaksRing("--how=answers-left", "answers not taken"),
    BreaksRing("--how=answers-claimed", kBadIndex),
    BreaksRing("--how=operation-0", kBadOperation),
    BreaksRing("--how=operation-3", kBadOperation),
    BreaksRing("--how=write-null"),
    BreaksRing("--how=write-ring"),
    BreaksRing("--how=write-end"),
    BreaksRing("--how=write-system"),
    BreaksRing("--how=write-wrap"),
    BreaksRing("--how=write-huge"),
    BreaksRing("--how=read-null"),
    BreaksRing("--how=read-boot"),
    BreaksRing("--how=read-text"),
    BreaksRing("--how=read-ring"),
    BreaksRing("--how=read-end"),
    BreaksRing("--how=read-wrap"),
    BreaksRing("--how=read-huge"),
    KeepsRing("--how=handles", "evil: read from 4294967295: invalid argument"),
    KeepsRing("--how=handles"),
    KeepsRing("--how=exit", {}),
    BreaksRing("--how=kick-8", kBadPort),
    BreaksRing("--how=kick-16", kBadPort),
    BreaksRing("--how=kick-in", kBadPort),
    StoppedInRing("--how=kick-forever", "kick-forever\n"),
    StoppedInRing("--how=write-forever", "write-forever\n"),
    StoppedInRing("--how=wait-forever", "wait-forever\n"),
};

// What comes of these depends on who is faster: the guest goes on, or breaks
// the ring.
inline constexpr GuestCase kRingRaces[] = {
    {.guest = "evil_ring",
     .target = "hvt",
     .arguments = "--how=overwrite",
     .status = kAnyStatus,
     .options = kRingOptions},
    {.guest = "evil_ring",
     .target = "hvt",
     .arguments = "--how=change-write",
     .status = kAnyStatus,
     .options = kRingOptions},
    {.guest = "evil_ring",
     .target = "hvt",
     .arguments = "--how=change-read",
     .status = kAnyStatus,
     .options = kRingOptions},
    {.guest = "evil_ring",
     .target = "hvt",
     .arguments = "--how=change-arguments",
     .status = kAnyStatus,
     .options = kRingOptions},
};

}  // namespace serai::testing
