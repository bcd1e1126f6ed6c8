// SPDX-License-Identifier: Apache-2.0
#pragma once

// What of its tender's a guest can misuse: hypercalls, ports, devices.

#include "tests/guests/testing/cases.h"

namespace serai::testing {

inline constexpr std::string_view kBadAccess = "Invalid guest access: gpa=0x";
inline constexpr std::string_view kBadPort = "Invalid guest port access: port=";
inline constexpr std::string_view kInvalid = "evil: result 2\n";

inline constexpr GuestCase kPointerCases[] = {
    // The structure stands where the guest has nothing, or may not write.
    Violates("evil_pointers", "--call=walltime --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=tables", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=boot", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=readonly", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=boundary", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=text", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=constant", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=straddle", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=end", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=beyond", kBadAccess),
    Violates("evil_pointers", "--call=walltime --pointer=last32", kBadAccess),
    Violates("evil_pointers", "--call=puts --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=puts --pointer=straddle", kBadAccess),
    Violates("evil_pointers", "--call=puts --pointer=last32", kBadAccess),
    Violates("evil_pointers", "--call=poll --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=poll --pointer=readonly", kBadAccess),
    Violates("evil_pointers", "--call=poll --pointer=end", kBadAccess),
    Violates("evil_pointers", "--call=block-write --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=block-write --pointer=end", kBadAccess),
    Violates("evil_pointers", "--call=block-read --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=block-read --pointer=text", kBadAccess),
    Violates("evil_pointers", "--call=net-write --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=net-write --pointer=end", kBadAccess),
    Violates("evil_pointers", "--call=net-read --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=net-read --pointer=text", kBadAccess),
    Violates("evil_pointers", "--call=halt --pointer=null", kBadAccess),
    Violates("evil_pointers", "--call=halt --pointer=straddle", kBadAccess),
    Violates("evil_pointers", "--call=halt --pointer=last32", kBadAccess),
    // The data does.
    Violates("evil_pointers", "--call=puts --data=null", kBadAccess),
    Violates("evil_pointers", "--call=puts --data=tables", kBadAccess),
    Violates("evil_pointers", "--call=puts --data=end", kBadAccess),
    Violates("evil_pointers", "--call=puts --data=system", kBadAccess),
    Violates("evil_pointers", "--call=puts --data=noncanonical", kBadAccess),
    Violates("evil_pointers", "--call=puts --data=half", kBadAccess),
    Violates("evil_pointers", "--call=puts --data=wrap", kBadAccess),
    Violates("evil_pointers", "--call=block-write --data=null", kBadAccess),
    Violates("evil_pointers", "--call=block-write --data=system", kBadAccess),
    Violates("evil_pointers", "--call=block-write --data=wrap", kBadAccess),
    Violates("evil_pointers", "--call=block-read --data=text", kBadAccess),
    Violates("evil_pointers", "--call=block-read --data=boundary", kBadAccess),
    Violates("evil_pointers", "--call=block-read --data=stack", kBadAccess),
    Violates("evil_pointers", "--call=block-read --data=wrap", kBadAccess),
    Violates("evil_pointers", "--call=net-write --data=null", kBadAccess),
    Violates("evil_pointers", "--call=net-write --data=half", kBadAccess),
    Violates("evil_pointers", "--call=net-read --data=text", kBadAccess),
    Violates("evil_pointers", "--call=net-read --data=readonly", kBadAccess),
    Violates("evil_pointers", "--call=net-read --data=stack", kBadAccess),
    Violates("evil_pointers", "--call=net-read --data=wrap", kBadAccess),
    // A guest may write out what it can read.
    GoesOn("evil_pointers", "hvt", "--call=puts --data=text", kNothing),
    GoesOn("evil_pointers", "hvt", "--call=puts --data=boundary", kNothing),
    // Lengths.
    GoesOn("evil_pointers", "hvt", "--call=puts --size=zero", kNothing),
    GoesOn("evil_pointers", "hvt", "--call=puts --size=zero --data=half",
           kNothing),
    Violates("evil_pointers", "--call=puts --size=int31", kBadAccess),
    Violates("evil_pointers", "--call=puts --size=int32", kBadAccess),
    Violates("evil_pointers", "--call=puts --size=half", kBadAccess),
    Violates("evil_pointers", "--call=puts --size=negative", kBadAccess),
    Violates("evil_pointers", "--call=puts --size=wrap", kBadAccess),
    Violates("evil_pointers", "--call=block-write --size=half", kBadAccess),
    Violates("evil_pointers", "--call=block-write --size=wrap", kBadAccess),
    Violates("evil_pointers", "--call=block-read --size=negative", kBadAccess),
    Violates("evil_pointers", "--call=block-read --size=wrap", kBadAccess),
    Violates("evil_pointers", "--call=net-write --size=half", kBadAccess),
    Violates("evil_pointers", "--call=net-write --size=wrap", kBadAccess),
    Violates("evil_pointers", "--call=net-read --size=negative", kBadAccess),
    Violates("evil_pointers", "--call=net-read --size=wrap", kBadAccess),
    // Handles of no device.
    GoesOn("evil_pointers", "hvt", "--call=block-write --handle=0", kInvalid),
    GoesOn("evil_pointers", "hvt", "--call=block-write --handle=64", kInvalid),
    GoesOn("evil_pointers", "hvt", "--call=block-read --handle=63", kInvalid),
    GoesOn("evil_pointers", "hvt", "--call=block-read --handle=4294967296",
           kInvalid),
    GoesOn("evil_pointers", "hvt",
           "--call=block-read --handle=18446744073709551615", kInvalid),
    GoesOn("evil_pointers", "hvt", "--call=net-write --handle=0", kInvalid),
    GoesOn("evil_pointers", "hvt", "--call=net-write --handle=4294967297",
           kInvalid),
    GoesOn("evil_pointers", "hvt", "--call=net-read --handle=64", kInvalid),
    GoesOn("evil_pointers", "hvt",
           "--call=net-read --handle=9223372036854775808", kInvalid),
    // The last words of a guest that aborts.
    Traps("evil_pointers", "--call=halt --data=null", "the guest aborted\n"),
    Traps("evil_pointers", "--call=halt --data=end", "the guest aborted\n"),
    Traps("evil_pointers", "--call=halt --data=system", "the guest aborted\n"),
    Traps("evil_pointers", "--call=halt --data=wrap", "the guest aborted\n"),
};

inline constexpr GuestCase kPortCases[] = {
    Violates("evil_ports", "--how=out8", kBadPort),
    Violates("evil_ports", "--how=out16", kBadPort),
    Violates("evil_ports", "--how=out8-imm", kBadPort),
    Violates("evil_ports", "--how=out32 --port=0", kBadPort),
    Violates("evil_ports", "--how=out32 --port=128", kBadPort),
    Violates("evil_ports", "--how=out32 --port=1280", kBadPort),  // 0x500
    Violates("evil_ports", "--how=out32 --port=1289", kBadPort),
    // The network ring's bell, where there is no ring.
    Violates("evil_ports", "--how=out32 --port=1536", kBadPort),
    Violates("evil_ports", "--how=out32 --port=3320", kBadPort),  // PCI
    Violates("evil_ports", "--how=out32 --port=65535", kBadPort),
    Violates("evil_ports", "--how=in8", kBadPort),
    Violates("evil_ports", "--how=in16", kBadPort),
    Violates("evil_ports", "--how=in32", kBadPort),
    Violates("evil_ports", "--how=outs8", kBadPort),
    // At the puts port: some KVMs make the `out` of it that it amounts to.
    Violates("evil_ports", "--how=outs32-rep", "Invalid guest "),
    Violates("evil_ports", "--how=ins8", kBadPort),
    Violates("evil_ports", "--how=ins32-rep", kBadPort),
};

inline constexpr GuestCase kDeviceCases[] = {
    WithDevices(GoesOn("evil_devices", "hvt", "", "SUCCESS\n")),
    WithDevices(Dies("evil_descriptors", "--how=block-read", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-write", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-seek", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-close", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-truncate", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-duplicate", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-size", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-byte", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-size-high", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-end", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-last-byte", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-negative", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=block-high", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=net-pread", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=net-control", kForbidden)),
    WithDevices(Dies("evil_descriptors", "--how=net-close", kForbidden)),
    // The kernel looks at addresses.
    WithDevices(
        GoesOn("evil_descriptors", "spt", "--how=block-wild", "result -14\n")),
    WithDevices(
        GoesOn("evil_descriptors", "spt", "--how=block-text", "result -14\n")),
    WithDevices(
        GoesOn("evil_descriptors", "spt", "--how=net-wild", "result -14\n")),
    // Nothing has come that could be read.
    WithDevices(
        GoesOn("evil_descriptors", "spt", "--how=net-text", "result -11\n")),
};

}  // namespace serai::testing
