// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/cases.h"

#include <span>

#include "tests/guests/testing/compat_cases.h"
#include "tests/guests/testing/evil_cases.h"
#include "tests/guests/testing/ring_cases.h"

namespace serai::testing {
namespace {

constexpr std::string_view kStorage = "--block:storage=/disk";
constexpr std::string_view kReadOnlyStorage = "--block:storage=/disk:ro";
constexpr std::string_view kLargeSectors =
    "--block:storage=/disk --block-sector-size:storage=4096";
constexpr std::string_view kSyncedStorage =
    "--block:storage=/disk --block-sync=full";
constexpr std::string_view kService =
    "--net:service=guest0 --net-mac:service=02:00:00:00:00:02";
constexpr std::string_view kRingService =
    "--net:service=guest0 --net-mac:service=02:00:00:00:00:02 --net-ring=on";

constexpr GuestCase Exits(std::string_view target, std::string_view arguments,
                          int status) {
  return {"exit", target, arguments, status, "exit"};
}

constexpr GuestCase kBasicCases[] = {
    GoesOn("hello", "hvt", R"(--one two\ words)", "argument 2: two words\n"),
    GoesOn("hello", "spt", R"(--one two\ words)", "argument 2: two words\n"),
    WithMemory(512, GoesOn("hello", "hvt", "", "memory 512 MiB\n")),
    WithMemory(2, GoesOn("hello", "hvt", "", "memory 2 MiB\n")),

    Exits("hvt", "--status=0", 0),
    Exits("hvt", "--status=1", 1),
    Exits("hvt", "--status=42", 42),
    Exits("hvt", "--status=254", 254),
    Exits("hvt", "--status=256", 255),
    Exits("hvt", "--status=65536", 255),
    Exits("hvt", "--status=258", 2),
    Exits("hvt", "--nonsense", 64),
    Exits("hvt", "--help=plain", 63),
    Exits("spt", "--status=42", 42),

    // Vector registers, thread-local variables, exceptions come back from.
    GoesOn("sse", "hvt", "", kSuccess),
    GoesOn("sse", "spt", "", kSuccess),
    GoesOn("clock", "hvt", "", kSuccess),
    GoesOn("clock", "spt", "", kSuccess),
    GoesOn("flood", "hvt", "--lines=300", "00000300"),
    GoesOn("flood", "spt", "--lines=300", "00000300"),
    GoesOn("hog", "hvt", "--mib=20 --exit", "done, using 20 MiB\n"),

    Traps("crash", "--how=null", "page fault at 0x0\n"),
    Traps("crash", "--how=ud2", "trap: vector 6 "),
    Traps("crash", "--how=divide", "trap: vector 0 "),
    Traps("crash", "--how=gp", "trap: vector "),
    Traps("crash", "--how=abort", "about to exit with the status of an abort"),
    Violates("crash", "--how=text", kBadTranslation),
    Violates("crash", "--how=stack", kBadTranslation),
    Dies("crash", "--how=null", kFault),
    Dies("crash", "--how=ud2", 128 + SIGILL),
    Dies("crash", "--how=divide", 128 + SIGFPE),
    Dies("crash", "--how=gp", kFault),
    Dies("crash", "--how=text", kFault),
    Dies("crash", "--how=stack", kFault),
    Dies("crash", "--how=abort", 255),

    With(kStorage, GoesOn("block", "hvt", "", "begins with 'text on a disk'")),
    With(kStorage, GoesOn("block", "spt", "", "begins with 'text on a disk'")),
    With(kReadOnlyStorage, GoesOn("block", "hvt", "--read-only", kSuccess)),
    With(kReadOnlyStorage, GoesOn("block", "spt", "--read-only", kSuccess)),
    With(kReadOnlyStorage,
         {"block", "hvt", "", 3, "exit", "block: write at 65024"}),
    With(kReadOnlyStorage,
         {"block", "spt", "", 3, "exit", "block: write at 65024"}),
    With(kLargeSectors,
         GoesOn("block", "hvt", "", "capacity 65536, block size 4096\n")),
    With(kLargeSectors,
         GoesOn("block", "spt", "", "capacity 65536, block size 4096\n")),

    With(kSyncedStorage, GoesOn("block", "hvt", "", kSuccess)),
    With(kSyncedStorage, GoesOn("block", "spt", "", kSuccess)),

    IsStopped("spin", "hvt", "", "spin"),
    IsStopped("spin", "hvt", "--idle", "spin"),
    IsStopped("spin", "spt", "", "spin"),
    IsStopped("spin", "spt", "--idle", "spin"),
};

// They answer from the moment on that they have said so.
constexpr GuestCase kAnsweringCases[] = {
    With(kService, IsStopped("echo", "hvt", "--ipv4=10.99.0.2/24",
                             "echo: listening on udp://10.99.0.2:7\n")),
    With(kRingService, IsStopped("echo", "hvt", "--ipv4=10.99.0.2/24",
                                 "echo: listening on udp://10.99.0.2:7\n")),
    With(kService, IsStopped("echo", "spt", "--ipv4=10.99.0.2/24",
                             "echo: listening on udp://10.99.0.2:7\n")),
};

constexpr std::string_view kJail = "--jail";
constexpr std::string_view kWholeJail =
    "--jail=user,mount,pid,net,ipc,uts,uid=1000,gid=1000";

constexpr GuestCase kJailCases[] = {
    With(kJail, GoesOn("hello", "hvt", "", kSuccess)),
    With(kJail, GoesOn("hello", "spt", "", kSuccess)),
    With(kWholeJail, GoesOn("sse", "hvt", "", kSuccess)),
    With(kWholeJail, GoesOn("sse", "spt", "", kSuccess)),
    With(kWholeJail, IsStopped("spin", "hvt", "", "spin")),
    With(kWholeJail, IsStopped("spin", "spt", "--idle", "spin")),
    With(kWholeJail, Traps("crash", "--how=ud2", "trap: vector 6 ")),
};

constexpr GuestCase kSnapshotCases[] = {
    GoesOn("count", "hvt", "--lines=6 --pause-ms=200", "count: 6\nSUCCESS\n"),
    GoesOn("count", "hvt", "--lines=6 --pause-ms=200 --busy --fault",
           "count: 6\nSUCCESS\n"),
};

struct Table {
  std::span<const GuestCase> cases;
  bool answers = false;
  bool snapshot = false;
  bool chatter = false;
};

constexpr Table kTables[] = {
    {kAnsweringCases, true},
    {kBasicCases},
    {kJailCases},
    {kSnapshotCases, false, true},
    {kCompatCases},
    {kPointerCases},
    {kPortCases},
    {kProcessorCases},
    {kTableCases},
    {kMemoryCases},
    {kDeviceCases},
    {kRingCases, false, false, true},
    {kEndlessCases},
    {kSyscallCases},
};

// What QEMU's processor does not do as others: it has no SSE exceptions, no
// stack faults for addresses, no int1 (7.2), and lets level 3 invalidate caches
// (10), which KVM makes nothing of.
GuestCase ForEmulation(GuestCase guest_case) {
  if (guest_case.guest == "vectors" || guest_case.guest == "exceptions") {
    guest_case.arguments = "--emulated";
  }
  if (guest_case.guest == "evil_processor" &&
      (guest_case.arguments == "--how=invd" ||
       guest_case.arguments == "--how=wbinvd")) {
    guest_case.status = kAnyStatus;
    guest_case.end = {};
    guest_case.output = {};
  }
  return guest_case;
}

}  // namespace

std::vector<VmCase> AllCases() {
  std::vector<VmCase> cases;
  for (const Table& table : kTables) {
    for (const GuestCase& any : table.cases) {
      const GuestCase guest_case = ForEmulation(any);
      VmCase vm_case = {guest_case, false, table.answers, table.snapshot,
                        table.chatter};
      cases.push_back(vm_case);
      vm_case.at_level0 = true;
      if (guest_case.target == "hvt") cases.push_back(vm_case);
    }
  }
  return cases;
}

std::string Name(const VmCase& vm_case) {
  const GuestCase& guest_case = vm_case.guest_case;
  std::string name = guest_case.target == "spt" ? "process"
                     : vm_case.at_level0        ? "level 0"
                                                : "level 3";
  name.append("  ").append(guest_case.guest).append(".");
  name.append(guest_case.target);
  if (!guest_case.arguments.empty()) {
    name.append(" ").append(guest_case.arguments);
  }
  if (!guest_case.options.empty()) {
    name.append(" (").append(guest_case.options).append(")");
  }
  if (vm_case.snapshot) name.append(" (and from a snapshot)");
  if (guest_case.memory_mib != 32) {
    name.append(" (--mem=").append(std::to_string(guest_case.memory_mib));
    name.append(")");
  }
  return name;
}

}  // namespace serai::testing
