// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/virtual_machine.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

// QEMU 7.2 is not good at several virtual processors that virtualise.
constexpr char kMachine[] =
    "/usr/bin/qemu-system-x86_64 -machine pc,accel=tcg -cpu EPYC,+svm,+npt "
    "-smp 1 -no-user-config -nodefaults -display none -no-reboot";
// Whatever goes wrong ends the machine. There is nothing to mitigate. It may
// stand still at any moment, where the real one is busy: that is no reason to
// doubt its clocks. Most of a guest's time would be waiting for RCU.
constexpr char kKernelOptions[] =
    "console=ttyS0 quiet oops=panic panic=-1 mitigations=off nokaslr "
    "no_timer_check rcupdate.rcu_expedited=1";

std::vector<std::string> Command(const Machine& machine,
                                 const UniqueFd& initramfs,
                                 const UniqueFd& console) {
  const auto path = [](const UniqueFd& fd) {
    return absl::StrCat("/proc/self/fd/", fd.get());
  };
  std::vector<std::string> words = absl::StrSplit(kMachine, ' ');
  words.insert(words.end(), {"-m", absl::StrCat(machine.memory_mib)});
  words.insert(words.end(), {"-append", absl::StrCat(kKernelOptions, " ",
                                                     machine.kernel_options)});
  words.insert(words.end(),
               {"-kernel", absl::StrCat(VmKernelDir(), "/vmlinuz")});
  words.insert(words.end(), {"-initrd", path(initramfs)});
  words.insert(words.end(),
               {"-chardev", absl::StrCat("file,append=on,id=console,path=",
                                         path(console))});
  words.insert(words.end(), {"-serial", "chardev:console"});
  words.insert(words.end(), {"-chardev", "stdio,signal=off,id=line"});
  words.insert(words.end(), machine.devices.begin(), machine.devices.end());
  return words;
}

// Between fork and exec: nothing but system calls.
[[noreturn]] void Exec(const std::vector<char*>& argv, int input, int output,
                       int errors) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

struct Pipe {
  UniqueFd to_read;
  UniqueFd to_write;
};

Pipe MakePipe() {
  std::array<int, 2> ends = {-1, -1};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd FileWithoutName(absl::string_view content) {
  UniqueFd fd(::memfd_create("virtual-machine", 0));  // inherited
  EXPECT_OK(WriteAll(fd.get(), content));
  return fd;
}

}  // namespace

VirtualMachine::VirtualMachine(const Machine& machine)
    : console_(FileWithoutName("")) {
  Pipe commands = MakePipe();
  Pipe results = MakePipe();
  to_machine_ = std::move(commands.to_write);
  from_machine_ = std::move(results.to_read);
  const UniqueFd root = FileWithoutName(machine.initramfs);
  std::vector<std::string> words = Command(machine, root, console_);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::fcntl(console_.get(), F_SETFL, O_APPEND);
  ::signal(SIGPIPE, SIG_IGN);
  pid_ = ::fork();
  EXPECT_GE(pid_, 0);
  if (pid_ == 0) {
    Exec(argv, commands.to_read.get(), results.to_write.get(), console_.get());
  }
}

VirtualMachine::~VirtualMachine() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<std::string> VirtualMachine::ReadLine(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (true) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    const absl::Duration left = deadline - absl::Now();
    pollfd readable = {from_machine_.get(), POLLIN, 0};
    if (left <= absl::ZeroDuration() ||
        ::poll(&readable, 1, static_cast<int>(left / absl::Milliseconds(1))) <=
            0) {
      return std::nullopt;
    }
    std::array<char, 4096> buffer;
    const ssize_t size =
        ::read(from_machine_.get(), buffer.data(), buffer.size());
    if (size <= 0) return std::nullopt;
    unread_.append(buffer.data(), static_cast<size_t>(size));
  }
}

bool VirtualMachine::WriteLine(absl::string_view line) {
  return WriteAll(to_machine_.get(), absl::StrCat(line, "\n")).ok();
}

std::string VirtualMachine::Console() const {
  struct stat info = {};
  if (::fstat(console_.get(), &info) != 0) return {};
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t size = ::pread(console_.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

}  // namespace serai::testing
