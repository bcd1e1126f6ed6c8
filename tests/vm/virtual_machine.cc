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
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

// QEMU 7.2 is not good at several virtual processors that virtualise.
constexpr char kMachine[] =
    "/usr/bin/qemu-system-x86_64 -machine pc,accel=tcg -cpu EPYC,+svm,+npt "
    "-smp 1 -m 1024 -no-user-config -nodefaults -display none -no-reboot";
// Whatever goes wrong ends the machine. There is nothing to mitigate. It may
// stand still at any moment, where the real one is busy: that is no reason to
// doubt its clocks. Most of a guest's time would be waiting for RCU.
constexpr char kKernelOptions[] =
    "console=ttyS0 quiet oops=panic panic=-1 mitigations=off nokaslr "
    "no_timer_check tsc=reliable rcupdate.rcu_expedited=1";

std::vector<std::string> Command(const UniqueFd& initramfs,
                                 const UniqueFd& console,
                                 const UniqueFd& results) {
  const auto path = [](const UniqueFd& fd) {
    return absl::StrCat("/proc/self/fd/", fd.get());
  };
  std::vector<std::string> words = absl::StrSplit(kMachine, ' ');
  words.insert(words.end(), {"-append", kKernelOptions});
  words.insert(words.end(),
               {"-kernel", absl::StrCat(VmKernelDir(), "/vmlinuz")});
  words.insert(words.end(), {"-initrd", path(initramfs)});
  for (const UniqueFd* port : {&console, &results}) {
    const std::string id = absl::StrCat("port", port->get());
    words.insert(words.end(),
                 {"-chardev", absl::StrCat("file,append=on,id=", id,
                                           ",path=", path(*port))});
    words.insert(words.end(), {"-serial", absl::StrCat("chardev:", id)});
  }
  return words;
}

// Between fork and exec: nothing but system calls.
[[noreturn]] void Exec(const std::vector<char*>& argv, int errors) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(errors, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

UniqueFd FileWithoutName(absl::string_view content) {
  UniqueFd fd(::memfd_create("virtual-machine", 0));  // inherited
  EXPECT_EQ(::write(fd.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  return fd;
}

}  // namespace

VirtualMachine::VirtualMachine(absl::string_view initramfs)
    : console_(FileWithoutName("")) {
  std::array<int, 2> ends = {-1, -1};
  EXPECT_EQ(::pipe(ends.data()), 0);
  results_.reset(ends[0]);
  ::fcntl(results_.get(), F_SETFD, FD_CLOEXEC);
  const UniqueFd results(ends[1]);
  const UniqueFd root = FileWithoutName(initramfs);
  std::vector<std::string> words = Command(root, console_, results);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::fcntl(console_.get(), F_SETFL, O_APPEND);
  pid_ = ::fork();
  EXPECT_GE(pid_, 0);
  if (pid_ == 0) Exec(argv, console_.get());
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
    pollfd readable = {results_.get(), POLLIN, 0};
    if (left <= absl::ZeroDuration() ||
        ::poll(&readable, 1, static_cast<int>(left / absl::Milliseconds(1))) <=
            0) {
      return std::nullopt;
    }
    std::array<char, 4096> buffer;
    const ssize_t size = ::read(results_.get(), buffer.data(), buffer.size());
    if (size <= 0) return std::nullopt;
    unread_.append(buffer.data(), static_cast<size_t>(size));
  }
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
