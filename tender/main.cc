// SPDX-License-Identifier: Apache-2.0
// serai-tender: runs one Solo5 unikernel, in a virtual machine (hvt) or as a
// process that may do next to nothing (spt), whichever it was built for.
// Exit status: the guest's own; 1 for an error of the tender's, with a line on
// stderr; 143 or 130 after SIGTERM or SIGINT.

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/solo5/unikernel.h"
#include "tender/console.h"
#include "tender/devices.h"
#include "tender/gdb/connection.h"
#include "tender/guest.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/machine.h"
#include "tender/hvt/snapshot_reader.h"
#include "tender/jail/jail.h"
#include "tender/options.h"
#include "tender/report.h"
#include "tender/signals.h"
#include "tender/spt/run.h"

namespace serai::tender {
namespace {

using solo5::Target;
using solo5::Unikernel;

int OpenKernel(const Options& options) {
  if (options.kernel_fd >= 0) return options.kernel_fd;
  const int fd = ::open(options.kernel, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    Fatal("%s: Could not open: %s", options.kernel, std::strerror(errno));
  }
  return fd;
}

void ReadKernel(const Options& options, int fd, Unikernel* unikernel) {
  solo5::Error error;
  if (solo5::ReadUnikernel(fd, unikernel, &error)) return;
  if (error.problem == solo5::Problem::kNotSolo5) {
    Fatal("%s: No Solo5 ABI information found in executable: %s",
          options.kernel, error.message);
  }
  Fatal("%s: %s", options.kernel, error.message);
}

// Bytes for the network ring, which a guest without interfaces is not offered.
uint64_t RingSize(const Options& options, const Unikernel& unikernel) {
  const auto* const begin = unikernel.manifest.entries;
  const bool has_net = std::any_of(
      begin, begin + unikernel.manifest.entry_count,
      [](const auto& entry) { return entry.type == solo5::DeviceType::kNet; });
  const bool offered =
      options.net_ring && unikernel.target == Target::kHvt && has_net;
  return offered ? solo5::kHvtRingSize : 0;
}

// The guest's memory in bytes, without the ring. An hvt guest's is mapped by
// 2 MiB pages.
uint64_t MemorySize(const Options& options, const Unikernel& unikernel,
                    uint64_t ring_size) {
  uint64_t memory = options.memory;
  if (unikernel.target == Target::kHvt) {
    const uint64_t wanted = memory;
    memory &= ~(solo5::kHvtLargePage - 1);
    if (memory < solo5::kHvtLargePage) memory = solo5::kHvtLargePage;
    if (memory > solo5::kHvtMaxMemory) {
      Fatal("--mem: an hvt guest can have at most %llu MiB",
            static_cast<unsigned long long>(solo5::kHvtMaxMemory >> 20));
    }
    if (memory != wanted) {
      Warn("adjusting memory to %llu MiB, a multiple of 2 MiB",
           static_cast<unsigned long long>(memory >> 20));
    }
    memory = std::min(memory, solo5::kHvtMaxMemory - ring_size);
  }
  if (memory < unikernel.lowest_memory) {
    Fatal("%s: needs at least %llu MiB of memory to be loaded, has %llu",
          options.kernel,
          static_cast<unsigned long long>(unikernel.lowest_memory >> 20),
          static_cast<unsigned long long>(memory >> 20));
  }
  return memory;
}

void Parse(int argc, char** argv, Options* options) {
  char error[256];
  switch (ParseOptions(argc, argv, options, error, sizeof(error))) {
    case ParseResult::kRun:
      return;
    case ParseResult::kHelp:
      PrintUsage();
      ::_exit(1);  // as Solo5's tenders do
    case ParseResult::kVersion:
      PrintVersion();
      ::_exit(0);
    case ParseResult::kError:
      Warn("%s", error);
      PrintUsage();
      ::_exit(1);
  }
}

// A guest that crashes is an everyday event: its memory must not fill the
// node's disk as a core file each time, nor be there to read.
void ForbidCoreDumps() {
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) {
    Fatal("prctl(PR_SET_DUMPABLE): %s", std::strerror(errno));
  }
}

// An spt guest is a process, which has all this from elsewhere.
void CheckTarget(const Options& options, const Unikernel& unikernel) {
  if (unikernel.target == Target::kHvt) return;
  if (options.snapshot_to.is_given()) {
    Fatal(
        "--snapshot-to is for hvt guests; an spt guest is a process of the "
        "host's, whose state is the kernel's");
  }
  const char* const option = options.dump_core.is_given() ? "--dumpcore"
                             : options.gdb.wanted         ? "--gdb"
                                                          : nullptr;
  if (option == nullptr) return;
  Fatal("%s is for hvt guests; for one of spt, run the tender under gdb",
        option);
}

// Where the page map of this process, or of a child, is found, if it is wanted:
// core files and snapshots are made faster with it, and can do without.
int OpenProc(const Options& options) {
  if (!options.dump_core.is_given() && !options.snapshot_to.is_given()) {
    return -1;
  }
  return ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int OpenPageMap(int proc) {
  if (proc < 0) return -1;
  // It is root's as long as this process is not to be inspected.
  ::prctl(PR_SET_DUMPABLE, 1);
  const int page_map = ::openat(proc, "self/pagemap", O_RDONLY | O_CLOEXEC);
  ForbidCoreDumps();
  ::close(proc);
  return page_map;
}

void OpenPlace(const char* option, Place* place) {
  if (!place->is_given() || place->fd >= 0) return;
  place->fd = ::open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (place->fd < 0) {
    Fatal("%s: %s: %s", option, place->path, std::strerror(errno));
  }
}

// Why /dev/kvm did not open, where it did not.
int kvm_error = 0;

// All that the options name, while there are files to be found. What is in them
// is looked at inside the jail.
void OpenAll(Options* options) {
  OpenPlace("--dumpcore", &options->dump_core);
  OpenPlace("--snapshot-to", &options->snapshot_to);
  OpenPlace("--restore-from", &options->restore_from);
  if (options->kernel != nullptr) options->kernel_fd = OpenKernel(*options);
  OpenDevices(options);
  if (options->gdb.wanted) {
    options->gdb.listener_fd = gdb::Listen(options->gdb);
  }
  // Whether it is needed is not known yet.
  if (options->kvm_fd < 0) {
    options->kvm_fd = hvt::TryToOpenKvm();
    kvm_error = errno;
  }
}

// Too large for the stack's taste, and there is one of each.
Guest guest;
hvt::Snapshot snapshot;

void ReadGuest(const Options& options) {
  guest.options = &options;
  if (options.restore_from.is_given()) {
    hvt::ReadSnapshot(options, &snapshot, &guest);
    return;
  }
  if (!JoinArguments(options.arguments, guest.command_line)) {
    Fatal("Guest command line too long (max=%zu characters)",
          solo5::kMaxCommandLine - 1);
  }
  guest.kernel_fd = OpenKernel(options);
  ReadKernel(options, guest.kernel_fd, &guest.unikernel);
  CheckTarget(options, guest.unikernel);
  guest.ring_size = RingSize(options, guest.unikernel);
  guest.memory = MemorySize(options, guest.unikernel, guest.ring_size);
}

[[noreturn]] void Main(int argc, char** argv) {
  if (argc > 0) SetProgramName(argv[0]);
  HoldStandardDescriptors();
  ForbidCoreDumps();
  Options options;
  Parse(argc, argv, &options);
  SetStatusFd(options.status_fd);
  InstallSignalHandlers();
  // While there is a /proc. An spt guest writes to its console itself; the
  // others may be shared with many, who all find room and then take it.
  KeepFromBlocking(STDOUT_FILENO);
  KeepFromBlocking(STDERR_FILENO);
  if (options.status_fd >= 0) KeepFromBlocking(options.status_fd);
  const int proc = OpenProc(options);
  if (options.jail.wanted) {
    OpenAll(&options);
    EnterJail(options, {&proc, 1});
  }
  guest.page_map_fd = OpenPageMap(proc);
  ReadGuest(options);
  guest.devices = AttachDevices(options, &guest.unikernel.manifest);
  if (guest.snapshot != nullptr) {
    hvt::MatchDevices(snapshot, options, &guest.unikernel.manifest);
  }
  if (guest.unikernel.target == Target::kHvt) {
    if (options.jail.wanted && options.kvm_fd < 0) {
      hvt::EndWithoutKvm(kvm_error);
    }
    hvt::Run(&guest);
  }
  if (options.kvm_fd >= 0) ::close(options.kvm_fd);
  if (options.jail.wanted) ForbidProcesses();
  spt::Run(guest);
}

}  // namespace
}  // namespace serai::tender

int main(int argc, char** argv) { serai::tender::Main(argc, argv); }
