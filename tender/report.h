// SPDX-License-Identifier: Apache-2.0
#pragma once

// How the tender says what happened: to people in lines on stderr, to the
// program that started it in JSON lines on the status descriptor. A tender has
// one thing to do, so what it cannot do ends it.
//
// The last JSON line tells the end:
//   {"end":"exit","status":N}             the guest's own doing
//   {"end":"abort","status":255,…}        it gave up, with the trap if it told
//   {"end":"violation","status":1,"message":"…"}   it broke the ABI
//   {"end":"failure","status":1,"message":"…"}     the tender cannot go on
//   {"end":"signal","status":143,"signal":15}      asked to end
// and of an spt guest, where the process then dies by that signal:
//   {"end":"fault","status":139,"signal":11,"address":"0x…","rip":"0x…"}
//   {"end":"seccomp","status":159,"syscall":N,"rip":"0x…"}   a forbidden call
// Where there is none, the process was killed; its wait status tells by what.

#include <cstdint>
#include <string_view>

namespace serai::tender {

// The name that starts every message: the last part of `argv0`, which is kept.
void SetProgramName(const char* argv0);
const char* ProgramName();

// JSON lines go to `fd` from here on; -1: nowhere.
void SetStatusFd(int fd);
int StatusFd();

// Writes `line`, which ends in a newline, to the status descriptor, if there is
// one. Errors are ignored: the reader may have left, and one that does not read
// is waited for 0.1 s. For signal handlers too.
void WriteStatus(std::string_view line);
// The same to the status descriptor or, without one, to stderr.
void WriteToCaller(std::string_view line);

// Writes "PROGRAM: message" to stderr. A message that does not fit a line of
// 512 bytes is cut; an error of stderr itself is ignored.
[[gnu::format(printf, 1, 2)]] void Warn(const char* format, ...);

// What ends a guest.
enum class End { kExit, kAbort, kViolation, kFailure, kSignal };

// `hook` runs once, at the end of whatever kind, after the message; `status` is
// what the process will end with. It may not allocate; when it fails itself, by
// Fatal(), it is not run again.
using EndHook = void (*)(void* context, End end, int status);
void SetEndHook(EndHook hook, void* context);

// The tender cannot do its work: exit status 1.
[[noreturn, gnu::format(printf, 1, 2)]] void Fatal(const char* format, ...);
// The guest did what the ABI forbids: exit status 1 as well, as from Solo5's
// tenders.
[[noreturn, gnu::format(printf, 1, 2)]] void Violation(const char* format, ...);

// The guest ended itself with `status`. The process reports the low 8 bits; a
// status other than 0 never becomes 0 by that.
[[noreturn]] void EndWithStatus(int32_t status);

// The tender was asked to end by the signal `number`: exit status 128 plus it.
// A signal handler may call it; so then is the hook called.
[[noreturn]] void EndWithSignal(int number);

// What a guest tells of the exception that made it give up.
struct Trap {
  uint64_t cr2;
  uint64_t error;
  uint64_t rip;
  uint64_t cs;
  uint64_t rflags;
  uint64_t rsp;
  uint64_t ss;
};
static_assert(sizeof(Trap) == 7 * 8);

// The guest ended itself with the status of an abort (255). `trap` is null
// where it told nothing. `registers` are RAX to R15 in the order in which
// instructions number them, null where they are not known.
[[noreturn]] void EndWithAbort(const Trap* trap, const uint64_t* registers);

}  // namespace serai::tender
