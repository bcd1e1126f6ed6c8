// SPDX-License-Identifier: Apache-2.0
#pragma once

// The command line. It is that of Solo5's own tenders, with additions. Where an
// option takes a path, @FD names a descriptor that is open already. Nothing
// here allocates: what an option names is a view of argv.

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/solo5/abi.h"
#include "tender/device_option.h"
#include "tender/number.h"

namespace serai::tender {

// A directory, by its path or a descriptor, or not given at all.
struct Place {
  const char* path = nullptr;
  int fd = -1;

  bool is_given() const { return path != nullptr; }
};

// At which privilege level an hvt guest runs.
enum class GuestLevel { kAuto, kLevel0, kLevel3 };

// What becomes of a guest's block writes: left to the host's page cache, or on
// the medium before the guest is told so.
enum class BlockSync { kNone, kFull };

// Where the tender locks itself in before the guest runs. Namespaces are made
// only where they are asked for; the rest is always done.
struct JailOptions {
  bool wanted = false;
  bool user = false;
  bool mount = false;
  bool pid = false;
  bool net = false;
  bool ipc = false;
  bool uts = false;
  int64_t uid = -1;  // -1: stays as it is
  int64_t gid = -1;
  int64_t parent = -1;  // the process to die with; -1: as it was started
};

// Where gdb is waited for. A host is an address in digits.
struct GdbOptions {
  static constexpr uint16_t kDefaultPort = 1234;

  bool wanted = false;
  const char* unix_path = nullptr;  // null: TCP on the loopback interface
  int listener_fd = -1;             // -1: nothing listens there yet
  uint16_t port = kDefaultPort;
};

struct Options {
  static constexpr size_t kMaxDeviceOptions = 3 * solo5::kMaxDevices;

  uint64_t memory = uint64_t{512} << 20;  // bytes
  bool memory_given = false;
  bool executable_heap = false;
  int kvm_fd = -1;     // -1: open /dev/kvm
  int status_fd = -1;  // -1: nobody listens
  bool stats = false;
  GuestLevel level = GuestLevel::kAuto;
  bool net_ring = false;
  BlockSync block_sync = BlockSync::kNone;
  JailOptions jail;
  GdbOptions gdb;
  Place dump_core;
  // A directory, or a socket that one comes by when it is asked for.
  Place snapshot_to;
  // A directory, or the machine file in `fd` and the memory file below.
  Place restore_from;
  int restore_memory_fd = -1;
  // The unikernel's path, as given; @FD is in kernel_fd too. Null with
  // restore_from.
  const char* kernel = nullptr;
  int kernel_fd = -1;
  // What follows the unikernel on the command line; ends with a null pointer.
  const char* const* arguments = nullptr;
  size_t device_option_count = 0;
  std::array<DeviceOption, kMaxDeviceOptions> device_options;
};

enum class ParseResult { kRun, kHelp, kVersion, kError };

// Reads argv into *options. After kError, `error` holds a message of one or two
// lines without the final newline.
ParseResult ParseOptions(int argc, const char* const* argv, Options* options,
                         char* error, size_t error_size);

// Joins `arguments` by single spaces into `out`, as the guest will see them.
// False when they do not fit kMaxCommandLine bytes.
bool JoinArguments(const char* const* arguments, char* out);

// What --help and --version print.
void PrintUsage();
void PrintVersion();

}  // namespace serai::tender
