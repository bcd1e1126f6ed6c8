// SPDX-License-Identifier: Apache-2.0
#include "tender/options.h"

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>

#include "tender/fatal.h"

namespace serai::tender {
namespace {

// An MTU below this cannot carry IPv4.
constexpr uint32_t kMinMtu = 68;

bool ParseNumber(std::string_view text, uint64_t* number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && rest == end;
}

bool ParseMac(std::string_view text, uint8_t (&mac)[6]) {
  if (text.size() != 17) return false;
  for (size_t i = 0; i < 6; ++i) {
    const char* digits = text.data() + 3 * i;
    const auto [rest, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc() || rest != digits + 2) return false;
    if (i < 5 && digits[2] != ':') return false;
  }
  return true;
}

// Splits "VALUE[:ro]" where a value may be @FD.
void ParsePlace(std::string_view value, DeviceOption* option) {
  constexpr std::string_view kReadOnly = ":ro";
  if (option->kind == DeviceOption::Kind::kBlock &&
      value.ends_with(kReadOnly)) {
    option->read_only = true;
    value.remove_suffix(kReadOnly.size());
  }
  option->fd = ParseFd(value);
  if (option->fd < 0) option->path = value;
}

bool ParseDeviceValue(std::string_view value, DeviceOption* option) {
  using Kind = DeviceOption::Kind;
  if (value.empty()) return false;
  uint64_t number = 0;
  switch (option->kind) {
    case Kind::kNet:
    case Kind::kBlock:
      ParsePlace(value, option);
      return option->fd >= 0 ||
             (!option->path.empty() && !option->path.starts_with('@'));
    case Kind::kNetMac:
      return ParseMac(value, option->mac);
    case Kind::kNetMtu:
      if (!ParseNumber(value, &number) || number < kMinMtu ||
          number > std::numeric_limits<uint16_t>::max()) {
        return false;
      }
      break;
    case Kind::kBlockSectorSize:
      if (!ParseNumber(value, &number) ||
          number > std::numeric_limits<uint16_t>::max()) {
        return false;
      }
      break;
  }
  option->number = static_cast<uint32_t>(number);
  return true;
}

// Whether `argument` is "--OPTION:NAME=VALUE" of a device option, well-formed.
bool ParseDeviceOption(const char* argument, DeviceOption* option) {
  using Kind = DeviceOption::Kind;
  struct Prefix {
    std::string_view text;
    Kind kind;
  };
  static constexpr Prefix kPrefixes[] = {
      {"--net:", Kind::kNet},
      {"--net-mac:", Kind::kNetMac},
      {"--net-mtu:", Kind::kNetMtu},
      {"--block:", Kind::kBlock},
      {"--block-sector-size:", Kind::kBlockSectorSize},
  };
  const std::string_view text = argument;
  for (const Prefix& prefix : kPrefixes) {
    if (!text.starts_with(prefix.text)) continue;
    const std::string_view rest = text.substr(prefix.text.size());
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos || equals == 0 ||
        equals > solo5::kMaxDeviceName) {
      return false;
    }
    *option = {};
    option->kind = prefix.kind;
    option->text = argument;
    option->name = rest.substr(0, equals);
    option->fd = -1;
    return ParseDeviceValue(rest.substr(equals + 1), option);
  }
  return false;
}

bool ParseMemory(std::string_view value, uint64_t* bytes) {
  uint64_t mebibytes = 0;
  // 2^26 MiB are all that an address space of 46 bits holds.
  if (!ParseNumber(value, &mebibytes) || mebibytes == 0 ||
      mebibytes > (uint64_t{1} << 26)) {
    return false;
  }
  *bytes = mebibytes << 20;
  return true;
}

}  // namespace

int ParseFd(std::string_view text) {
  uint64_t number = 0;
  if (!text.starts_with('@') || !ParseNumber(text.substr(1), &number) ||
      number > std::numeric_limits<int>::max()) {
    return -1;
  }
  return static_cast<int>(number);
}

ParseResult ParseOptions(int argc, const char* const* argv, Options* options,
                         char* error, size_t error_size) {
  const auto fail = [&](const char* problem, const char* argument) {
    std::snprintf(error, error_size, "%s: `%s'", problem, argument);
    return ParseResult::kError;
  };
  constexpr std::string_view kMemory = "--mem=";
  constexpr std::string_view kKvm = "--kvm=";
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") return ParseResult::kHelp;
    if (argument == "--version") return ParseResult::kVersion;
    if (argument == "--") {
      ++i;
      break;
    }
    if (argument.starts_with(kMemory)) {
      if (!ParseMemory(argument.substr(kMemory.size()), &options->memory)) {
        return fail("Malformed argument to --mem", argv[i]);
      }
    } else if (argument.starts_with(kKvm)) {
      options->kvm_fd = ParseFd(argument.substr(kKvm.size()));
      if (options->kvm_fd < 0) return fail("Invalid option", argv[i]);
    } else if (argument == "--x-exec-heap") {
      options->executable_heap = true;
    } else {
      if (options->device_option_count == Options::kMaxDeviceOptions) {
        return fail("Too many device options", argv[i]);
      }
      DeviceOption* option =
          &options->device_options[options->device_option_count];
      if (!ParseDeviceOption(argv[i], option)) {
        return fail("Invalid option", argv[i]);
      }
      ++options->device_option_count;
    }
  }
  if (i >= argc) {
    std::snprintf(error, error_size, "Missing KERNEL operand");
    return ParseResult::kError;
  }
  options->kernel = argv[i];
  if (argv[i][0] == '@') {
    options->kernel_fd = ParseFd(argv[i]);
    if (options->kernel_fd < 0) {
      return fail("KERNEL is no descriptor", argv[i]);
    }
  }
  options->arguments = argv + i + 1;
  return ParseResult::kRun;
}

bool JoinArguments(const char* const* arguments, char* out) {
  size_t at = 0;
  for (size_t i = 0; arguments[i] != nullptr; ++i) {
    const size_t length = std::strlen(arguments[i]);
    const size_t space = i == 0 ? 0 : 1;
    if (length + space >= solo5::kMaxCommandLine - at) return false;
    if (space != 0) out[at++] = ' ';
    std::memcpy(out + at, arguments[i], length);
    at += length;
  }
  out[at] = '\0';
  return true;
}

void PrintUsage() {
  static constexpr char kUsage[] =
      "usage: %s [OPTIONS] [--] KERNEL [ARGUMENTS]\n"
      "Runs the Solo5 unikernel KERNEL (a path or @FD), built for hvt or spt.\n"
      "  --mem=MIB                      guest memory (default 512)\n"
      "  --net:NAME=INTERFACE|@FD       attach a tap interface\n"
      "  --net-mac:NAME=MAC             its address for the guest\n"
      "  --net-mtu:NAME=MTU             its MTU, where @FD cannot tell\n"
      "  --block:NAME=PATH|@FD[:ro]     attach a file or block device\n"
      "  --block-sector-size:NAME=SIZE  its block size (default 512)\n"
      "  --kvm=@FD                      use this open /dev/kvm (hvt)\n"
      "  --x-exec-heap                  let the guest execute its heap\n"
      "  --help, --version\n"
      "Every device that the unikernel declares must be attached.\n";
  ::dprintf(STDERR_FILENO, kUsage, ProgramName());
}

void PrintVersion() {
  ::dprintf(STDERR_FILENO, "%s tender, version %s\n", ProgramName(),
            SERAI_VERSION);
  for (uint32_t abi = solo5::kOldestAbi; abi <= solo5::kNewestAbi; ++abi) {
    ::dprintf(STDERR_FILENO, "ABI version %u\n", abi);
  }
}

}  // namespace serai::tender
