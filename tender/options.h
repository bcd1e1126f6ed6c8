// SPDX-License-Identifier: Apache-2.0
#pragma once

// The command line. It is that of Solo5's own tenders, with a few additions:
// where they take a path, @FD names a descriptor that is open already.
// Nothing here allocates: what an option names is a view of argv.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/solo5/abi.h"

namespace serai::tender {

// An option about one device of the guest's manifest.
struct DeviceOption {
  enum class Kind { kNet, kNetMac, kNetMtu, kBlock, kBlockSectorSize };

  Kind kind;
  const char* text;  // the whole argument, for messages
  std::string_view name;
  // kNet: an interface's name. kBlock: a path. Empty where `fd` is given.
  std::string_view path;
  int fd;           // kNet, kBlock: of @FD, else -1
  bool read_only;   // kBlock
  uint32_t number;  // kNetMtu, kBlockSectorSize
  uint8_t mac[6];   // kNetMac
};

struct Options {
  static constexpr size_t kMaxDeviceOptions = 3 * solo5::kMaxDevices;

  uint64_t memory = uint64_t{512} << 20;  // bytes
  bool executable_heap = false;
  int kvm_fd = -1;  // -1: open /dev/kvm
  // The unikernel's path, as given; @FD is in kernel_fd too.
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

// The number of "@FD", or -1.
int ParseFd(std::string_view text);

// Joins `arguments` by single spaces into `out`, as the guest will see them.
// False when they do not fit kMaxCommandLine bytes.
bool JoinArguments(const char* const* arguments, char* out);

// What --help and --version print.
void PrintUsage();
void PrintVersion();

}  // namespace serai::tender
