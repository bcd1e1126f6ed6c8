// SPDX-License-Identifier: Apache-2.0
#pragma once

// What of its processor's a guest can misuse.

#include "tests/guests/testing/cases.h"

namespace serai::testing {

inline constexpr std::string_view kNoHandler = ") without a handler: rip=0x";

inline constexpr GuestCase kProcessorCases[] = {
    Level3(Violates("evil_processor", "--how=hlt",
                    "KVM: the guest halted its processor: rip=0x")),
    Level3(Traps("evil_processor", "--how=cr0", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=cr2", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=cr3", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=cr3-read", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=cr4", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=cr8", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=cr8-read", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=dr7", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=dr7-read", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=lmsw", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=clts", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=invlpg", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=invpcid")),
    Level3(Traps("evil_processor", "--how=invd", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=wbinvd", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=lldt", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=xsetbv")),
    Level3(Traps("evil_processor", "--how=monitor")),
    Level3(Traps("evil_processor", "--how=mwait")),
    Level3(Traps("evil_processor", "--how=rdpmc")),
    Level3(Traps("evil_processor", "--how=vmlaunch")),
    Level3(Traps("evil_processor", "--how=vmrun")),
    Level3(Traps("evil_processor", "--how=vmload")),
    Level3(Traps("evil_processor", "--how=stgi")),
    Level3(Traps("evil_processor", "--how=clgi")),
    Level3(Traps("evil_processor", "--how=skinit")),
    Level3(Traps("evil_processor", "--how=getsec")),
    Level3(Traps("evil_processor", "--how=rsm")),
    Level3(Traps("evil_processor", "--how=sysexit")),
    Level3(Traps("evil_processor", "--how=sysret")),
    // On PVM it leads to address 0, where nothing is.
    Level3(Traps("evil_processor", "--how=syscall")),
    Level3(Traps("evil_processor", "--how=sysenter")),
    // KVM's own calls: refused to level 3 with an error, or its attempt to
    // write the instruction that fits the processor fails at the text.
    Level3({"evil_processor", "hvt", "--how=vmcall", kAnyStatus}),
    Level3({"evil_processor", "hvt", "--how=vmmcall", kAnyStatus}),
    Level3(Traps("evil_processor", "--how=int80")),
    Level3(Traps("evil_processor", "--how=int13")),
    Level3(Traps("evil_processor", "--how=int8")),
    Level3(Traps("evil_processor", "--how=int2")),
    Level3(Traps("evil_processor", "--how=int255")),
    Level3(Traps("evil_processor", "--how=long")),
    Level3(Traps("evil_processor", "--how=lock")),
    Level3(Traps("evil_processor", "--how=mov-cs")),
    Level3(GoesOn("evil_processor", "hvt", "--how=popf", kNothing)),
    Level3(GoesOn("evil_processor", "hvt", "--how=sgdt", kNothing)),
    // Of the system's registers a guest has those for FS and GS alone: not
    // EFER, LSTAR, APIC_BASE, MTRRs, the microcode's, KVM's clock.
    Level3(Traps("evil_processor", "--how=wrmsr --msr=3221225600",
                 "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=rdmsr --msr=3221225600",
                 "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=wrmsr --msr=3221225602",
                 "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=wrmsr --msr=27", "trap: vector 13 ")),
    Level3(
        Traps("evil_processor", "--how=wrmsr --msr=511", "trap: vector 13 ")),
    Level3(
        Traps("evil_processor", "--how=wrmsr --msr=121", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=wrmsr --msr=1263947008",
                 "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=rdmsr --msr=0", "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=wrmsr-noncanonical --msr=3221225728",
                 "trap: vector 13 ")),
    Level3(Traps("evil_processor", "--how=wrmsr-high --msr=3221225728",
                 "trap: vector 13 ")),
    // Whatever it returns to, it stays where it is.
    Level3(GoesOn("evil_processor", "hvt", "--how=iretq-0", "level 3\n")),
    Level3(GoesOn("evil_processor", "hvt", "--how=iretq-tender", "level 3\n")),
    Level3(GoesOn("evil_processor", "hvt", "--how=iretq-flags", "flags 0x0\n")),
    Level3(GoesOn("evil_processor", "hvt", "--how=lretq-0", "level 3\n")),
    Level3(GoesOn("evil_processor", "hvt", "--how=lretq-tender", "level 3\n")),
    Level3(GoesOn("evil_processor", "hvt", "--how=lretq-null", "level 3\n")),
};

inline constexpr GuestCase kTableCases[] = {
    Level3(Traps("evil_tables", "--how=lgdt --at=0")),
    Level3(Traps("evil_tables", "--how=lgdt --at=0x1ffffff")),
    Level3(Traps("evil_tables", "--how=lgdt --at=0x100000000")),
    Level3(Traps("evil_tables", "--how=lgdt --at=0xffffffffffffffff")),
    Level3(Traps("evil_tables", "--how=lidt --at=0")),
    Level3(Traps("evil_tables", "--how=lidt --at=0x2000000")),
    Level3(Traps("evil_tables", "--how=lidt --at=0x100000200")),
    Level3(Traps("evil_tables", "--how=lidt --at=0x800000000000")),
    Level3(Traps("evil_tables", "--how=ltr-memory --at=0")),
    Level3(Traps("evil_tables", "--how=ltr-memory --at=0x100000040")),
    Level3(Traps("evil_tables", "--how=ltr-null", "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=ltr-ldt", "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=ltr-data", "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=ltr-beyond", "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=ltr-absent", "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=gdt-at --at=0", "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=gdt-at --at=0x100000000",
                 "trap: vector 13 ")),
    Level3(Traps("evil_tables", "--how=gdt-at --at=0xfffffffffffffffc",
                 "trap: vector 13 ")),
    // A processor would reset: no handler, or none that can be entered.
    Level3(Violates("evil_tables", "--how=no-idt", kNoHandler)),
    Level3(Violates("evil_tables", "--how=empty-idt", kNoHandler)),
    Level3(Violates("evil_tables", "--how=breakpoint", kNoHandler)),
    Level3(Violates("evil_tables", "--how=ltr-short", kNoHandler)),
    Level3(Violates("evil_tables", "--how=idt-at --at=0", kNoHandler)),
    Level3(Violates("evil_tables", "--how=idt-at --at=0x1ffffa0", kNoHandler)),
    Level3(
        Violates("evil_tables", "--how=idt-at --at=0x100000200", kNoHandler)),
    Level3(Violates("evil_tables", "--how=idt-at --at=0x8000000000000000",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=idt-at --at=0xfffffffffffffff8",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=task-at --at=0", kNoHandler)),
    Level3(
        Violates("evil_tables", "--how=task-at --at=0x100000100", kNoHandler)),
    Level3(Violates("evil_tables", "--how=task-at --at=0xfffffffffffffff0",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=stack-at --at=0", kNoHandler)),
    Level3(Violates("evil_tables", "--how=stack-at --at=0x10", kNoHandler)),
    Level3(Violates("evil_tables", "--how=stack-at --at=0x100800", kNoHandler)),
    Level3(
        Violates("evil_tables", "--how=stack-at --at=0x100003000", kNoHandler)),
    Level3(Violates("evil_tables", "--how=stack-at --at=0xffffffffffffffff",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=handler-at --at=0", kNoHandler)),
    Level3(
        Violates("evil_tables", "--how=handler-at --at=0x10000", kNoHandler)),
    Level3(Violates("evil_tables", "--how=handler-at --at=0x100001000",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=handler-at --at=0x800000000000",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=handler-at --at=0x1fffffc",
                    kBadTranslation)),
    Level3(Violates("evil_tables", "--how=lost-stack --at=0", kNoHandler)),
    Level3(
        Violates("evil_tables", "--how=lost-stack --at=0x10000", kNoHandler)),
    Level3(Violates("evil_tables", "--how=lost-stack --at=0x100800",
                    kBadTranslation)),
    Level3(Violates("evil_tables", "--how=lost-stack --at=0x8000000000000000",
                    kNoHandler)),
    Level3(Violates("evil_tables", "--how=no-stack --at=0", kNoHandler)),
    Level3(
        Violates("evil_tables", "--how=no-stack --at=0x100003000", kNoHandler)),
    Level3(Violates("evil_tables", "--how=no-stack --at=0x8000000000000000",
                    kNoHandler)),
};

}  // namespace serai::testing
