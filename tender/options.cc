// SPDX-License-Identifier: Apache-2.0
#include "tender/options.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <limits>

#include "tender/report.h"

namespace serai::tender {
namespace {

using std::string_view;

// 2^26 MiB are all that an address space of 46 bits holds.
constexpr uint64_t kMaxMebibytes = uint64_t{1} << 26;
// The last one means "do not change" to the kernel.
constexpr uint64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;

bool ParseMemory(string_view value, Options* options) {
  uint64_t mebibytes = 0;
  if (!ParseNumber(value, kMaxMebibytes, &mebibytes) || mebibytes == 0) {
    return false;
  }
  options->memory = mebibytes << 20;
  options->memory_given = true;
  return true;
}

bool ParseDescriptor(string_view value, int* fd) {
  *fd = ParseFd(value);
  return *fd >= 0;
}

bool ParsePort(string_view value, uint16_t* port) {
  uint64_t number = 0;
  if (!ParseNumber(value, std::numeric_limits<uint16_t>::max(), &number) ||
      number == 0) {
    return false;
  }
  *port = static_cast<uint16_t>(number);
  return true;
}

// "", "unix:PATH", "tcp" or "tcp:PORT".
bool ParseGdb(string_view value, GdbOptions* gdb) {
  constexpr string_view kUnix = "unix:";
  constexpr string_view kTcp = "tcp:";
  gdb->wanted = true;
  if (value.empty() || value == "tcp") return true;
  if (value.starts_with(kTcp)) {
    return ParsePort(value.substr(kTcp.size()), &gdb->port);
  }
  // A view of the end of an argument, so its data is terminated.
  gdb->unix_path = value.data() + kUnix.size();
  return value.starts_with(kUnix) && value.size() > kUnix.size();
}

bool ParseLevel(string_view value, Options* options) {
  if (value == "auto") {
    options->level = GuestLevel::kAuto;
  } else if (value == "0") {
    options->level = GuestLevel::kLevel0;
  } else if (value == "3") {
    options->level = GuestLevel::kLevel3;
  } else {
    return false;
  }
  return true;
}

bool ParseBlockSync(string_view value, Options* options) {
  options->block_sync = value == "full" ? BlockSync::kFull : BlockSync::kNone;
  return value == "full" || value == "none";
}

bool ParseNetRing(string_view value, Options* options) {
  options->net_ring = value == "on";
  return value == "on" || value == "off";
}

bool ParseId(string_view value, int64_t* id) {
  uint64_t number = 0;
  if (!ParseNumber(value, kMaxId, &number)) return false;
  *id = static_cast<int64_t>(number);
  return true;
}

bool ParseJailWord(string_view word, JailOptions* jail) {
  struct Namespace {
    string_view name;
    bool JailOptions::*field;
  };
  static constexpr Namespace kNamespaces[] = {
      {"user", &JailOptions::user}, {"mount", &JailOptions::mount},
      {"pid", &JailOptions::pid},   {"net", &JailOptions::net},
      {"ipc", &JailOptions::ipc},   {"uts", &JailOptions::uts},
  };
  for (const Namespace& one : kNamespaces) {
    if (word != one.name) continue;
    jail->*one.field = true;
    return true;
  }
  if (word.starts_with("uid=")) return ParseId(word.substr(4), &jail->uid);
  if (word.starts_with("gid=")) return ParseId(word.substr(4), &jail->gid);
  if (word.starts_with("parent=")) {
    return ParseId(word.substr(7), &jail->parent);
  }
  return false;
}

bool ParseJail(string_view words, JailOptions* jail) {
  jail->wanted = true;
  while (!words.empty()) {
    const size_t comma = words.find(',');
    if (!ParseJailWord(words.substr(0, comma), jail)) return false;
    if (comma == string_view::npos) break;
    words.remove_prefix(comma + 1);
    if (words.empty()) return false;
  }
  return true;
}

bool ParsePlace(const char* value, Place* place) {
  place->path = value;
  place->fd = ParseFd(value);
  return value[0] != '\0' && (value[0] != '@' || place->fd >= 0);
}

// "@MACHINE:@MEMORY", in place of a directory with these.
bool ParseSnapshotFiles(const char* value, Options* options) {
  const string_view text = value;
  const size_t colon = text.find(':');
  Place& place = options->restore_from;
  if (text[0] != '@' || colon == string_view::npos ||
      !ParseDescriptor(text.substr(0, colon), &place.fd) ||
      !ParseDescriptor(text.substr(colon + 1), &options->restore_memory_fd)) {
    return false;
  }
  place.path = value;
  return true;
}

// "--NAME" with nothing behind it.
bool ParseFlag(string_view argument, Options* options) {
  if (argument == "--x-exec-heap") {
    options->executable_heap = true;
  } else if (argument == "--stats") {
    options->stats = true;
  } else if (argument == "--jail") {
    options->jail.wanted = true;
  } else if (argument == "--gdb") {
    options->gdb.wanted = true;
  } else {
    return false;
  }
  return true;
}

// "--NAME=VALUE".
bool ParseValue(string_view name, string_view value, Options* options) {
  if (name == "--kvm") return ParseDescriptor(value, &options->kvm_fd);
  if (name == "--status") return ParseDescriptor(value, &options->status_fd);
  if (name == "--cpl") return ParseLevel(value, options);
  if (name == "--net-ring") return ParseNetRing(value, options);
  if (name == "--block-sync") return ParseBlockSync(value, options);
  if (name == "--jail") {
    return !value.empty() && ParseJail(value, &options->jail);
  }
  if (name == "--gdb") return ParseGdb(value, &options->gdb);
  if (name == "--gdb-port") return ParsePort(value, &options->gdb.port);
  return false;
}

Place* FindPlace(string_view name, Options* options) {
  if (name == "--dumpcore") return &options->dump_core;
  if (name == "--snapshot-to") return &options->snapshot_to;
  if (name == "--restore-from") return &options->restore_from;
  return nullptr;
}

// Reads the options, and with them their values, from argv + *at on; *at is
// then behind them.
class Parser {
 public:
  Parser(int argc, const char* const* argv, Options* options, char* error,
         size_t error_size)
      : argc_(argc),
        argv_(argv),
        options_(options),
        error_(error),
        error_size_(error_size) {}

  ParseResult ParseAll();

 private:
  ParseResult Fail(const char* problem, const char* argument) {
    std::snprintf(error_, error_size_, "%s: `%s'", problem, argument);
    return ParseResult::kError;
  }
  ParseResult ParseOne();
  ParseResult ParseDevice();
  ParseResult ParseKernel();

  int argc_;
  const char* const* argv_;
  Options* options_;
  char* error_;
  size_t error_size_;
  int at_ = 1;
};

ParseResult Parser::ParseDevice() {
  const char* argument = argv_[at_];
  if (options_->device_option_count == Options::kMaxDeviceOptions) {
    return Fail("Too many device options", argument);
  }
  DeviceOption* option =
      &options_->device_options[options_->device_option_count];
  if (!ParseDeviceOption(argument, option)) {
    return Fail("Invalid option", argument);
  }
  ++options_->device_option_count;
  return ParseResult::kRun;
}

ParseResult Parser::ParseOne() {
  const char* text = argv_[at_];
  const string_view argument = text;
  if (argument == "--help") return ParseResult::kHelp;
  if (argument == "--version") return ParseResult::kVersion;
  const size_t equals = argument.find('=');
  const string_view name = argument.substr(0, equals);
  if (Place* place = FindPlace(name, options_); place != nullptr) {
    const char* value =
        equals == string_view::npos ? argv_[++at_] : text + equals + 1;
    if (value == nullptr ||
        (!ParsePlace(value, place) && (place != &options_->restore_from ||
                                       !ParseSnapshotFiles(value, options_)))) {
      return Fail("Invalid option, which takes a directory", text);
    }
    return ParseResult::kRun;
  }
  if (equals == string_view::npos) {
    return ParseFlag(argument, options_) ? ParseResult::kRun
                                         : Fail("Invalid option", text);
  }
  const string_view value = argument.substr(equals + 1);
  if (name == "--mem") {
    return ParseMemory(value, options_)
               ? ParseResult::kRun
               : Fail("Malformed argument to --mem", text);
  }
  if (ParseValue(name, value, options_)) return ParseResult::kRun;
  return ParseDevice();
}

ParseResult Parser::ParseKernel() {
  if (options_->restore_from.is_given()) {
    if (at_ < argc_) return Fail("A snapshot takes no KERNEL", argv_[at_]);
    options_->arguments = argv_ + argc_;
    return ParseResult::kRun;
  }
  if (at_ >= argc_) {
    std::snprintf(error_, error_size_, "Missing KERNEL operand");
    return ParseResult::kError;
  }
  options_->kernel = argv_[at_];
  if (options_->kernel[0] == '@') {
    options_->kernel_fd = ParseFd(options_->kernel);
    if (options_->kernel_fd < 0) {
      return Fail("KERNEL is no descriptor", options_->kernel);
    }
  }
  options_->arguments = argv_ + at_ + 1;
  return ParseResult::kRun;
}

ParseResult Parser::ParseAll() {
  for (; at_ < argc_ && argv_[at_][0] == '-'; ++at_) {
    if (std::strcmp(argv_[at_], "--") == 0) {
      ++at_;
      break;
    }
    const ParseResult result = ParseOne();
    if (result != ParseResult::kRun) return result;
  }
  return ParseKernel();
}

}  // namespace

ParseResult ParseOptions(int argc, const char* const* argv, Options* options,
                         char* error, size_t error_size) {
  return Parser(argc, argv, options, error, error_size).ParseAll();
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
      "Every device that it declares must be attached.\n"
      "  --mem=MIB                      guest memory (default 512)\n"
      "  --net:NAME=INTERFACE|@FD       attach a tap interface\n"
      "  --net-mac:NAME=MAC             its address for the guest\n"
      "  --net-mtu:NAME=MTU             its MTU, where @FD cannot tell\n"
      "  --block:NAME=PATH|@FD[:ro]     attach a file or block device\n"
      "  --block-sector-size:NAME=SIZE  its block size (default 512)\n"
      "  --block-sync=none|full         full: a write returns when it is on "
      "the\n"
      "                                 medium (default none)\n"
      "  --net-ring=on|off              offer the shared ring (hvt)\n"
      "  --kvm=@FD                      use this open /dev/kvm (hvt)\n"
      "  --cpl=0|3|auto                 privilege level of the guest (hvt)\n"
      "  --x-exec-heap                  let the guest execute its heap\n"
      "  --jail[=WORD,...]              give up privileges, files and rights;\n"
      "                                 user, mount, pid, net, ipc, uts: in a\n"
      "                                 new namespace; uid=N, gid=N;\n"
      "                                 parent=PID: killed when that, which\n"
      "                                 started it, ends\n"
      "  --status=@FD                   how it ended goes there as JSON\n"
      "  --stats                        count exits and I/O; SIGUSR1 tells\n"
      "  --dumpcore=DIR|@FD             leave a core file when it crashes\n"
      "  --gdb[=unix:PATH|tcp:PORT]     wait for gdb first (hvt)\n"
      "  --gdb-port=PORT                on this port (default 1234)\n"
      "  --snapshot-to=DIR|@FD          SIGUSR2 writes a snapshot (hvt), also "
      "to\n"
      "                                 a directory that comes by a socket, "
      "@FD\n"
      "  --restore-from=DIR|@FD|@MACHINE:@MEMORY\n"
      "                                 go on with a snapshot, without KERNEL\n"
      "  --help, --version\n";
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
