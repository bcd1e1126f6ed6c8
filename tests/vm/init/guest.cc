// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/init/guest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "lib/base/unique_fd.h"
#include "tests/vm/init/devices.h"
#include "tests/vm/init/machine.h"
#include "tests/vm/init/peer.h"

namespace serai::testing {
namespace {

using Clock = std::chrono::steady_clock;

// More than any guest takes, even on this slow machine.
constexpr auto kPatience = std::chrono::seconds(30);
// How long a guest may do with its processor what it wants.
constexpr auto kFreedom = std::chrono::milliseconds(500);
constexpr auto kInterval = std::chrono::milliseconds(2);
// Of what a guest says, from the beginning and from the end.
constexpr size_t kShown = 2000;

void AddWords(std::string_view text, std::vector<std::string>& words) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!word.empty()) words.emplace_back(word);
  }
}

std::string Read(const UniqueFd& file) {
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return {};
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

std::string Shorten(const std::string& text) {
  if (text.size() <= 2 * kShown) return text;
  return text.substr(0, kShown) + "\n…\n" + text.substr(text.size() - kShown);
}

class Guest {
 public:
  explicit Guest(const VmCase& vm_case, bool restored = false)
      : output_(::memfd_create("output", MFD_CLOEXEC)),
        report_(::memfd_create("report", 0)),  // inherited
        devices_(vm_case) {
    ::fcntl(output_.get(), F_SETFL, O_APPEND);
    std::vector<std::string> words = restored ? WordsOfClone() : Words(vm_case);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) Fail("fork");
    if (pid_ == 0) Exec(argv);
  }

  std::string output() const { return Read(output_); }
  std::string report() const { return Read(report_); }

  // Its status once it has ended, or nothing after `patience`.
  std::optional<int> Wait(Clock::duration patience) {
    const auto deadline = Clock::now() + patience;
    while (!Ended() && Clock::now() < deadline) {
      std::this_thread::sleep_for(kInterval);
    }
    return status_;
  }

  bool WaitForOutput(std::string_view text) {
    const auto deadline = Clock::now() + kPatience;
    while (Clock::now() < deadline) {
      const bool ended = Ended();
      if (output().find(text) != std::string::npos) return true;
      if (ended) return false;
      std::this_thread::sleep_for(kInterval);
    }
    return false;
  }

  // Whether its devices are as they have to be, whatever it did to them.
  bool DevicesAreWhole() const { return devices_.AreWhole(); }

  void Kill(int number) {
    if (!Ended()) ::kill(pid_, number);
  }

 private:
  std::vector<std::string> Words(const VmCase& vm_case) const {
    const GuestCase& guest_case = vm_case.guest_case;
    std::vector<std::string> words = {
        "/serai-tender", "--mem=" + std::to_string(guest_case.memory_mib)};
    if (vm_case.at_level0) words.emplace_back("--cpl=0");
    words.push_back("--status=@" + std::to_string(report_.get()));
    if (vm_case.snapshot) {
      words.push_back(std::string("--snapshot-to=") + kSnapshots);
    }
    devices_.AddOptions(words);
    AddWords(guest_case.options, words);
    words.push_back("/guests/" + std::string(guest_case.guest) + "." +
                    std::string(guest_case.target));
    AddWords(guest_case.arguments, words);
    return words;
  }

  std::vector<std::string> WordsOfClone() const {
    return {"/serai-tender", std::string("--restore-from=") + kSnapshots,
            "--status=@" + std::to_string(report_.get())};
  }

  [[noreturn]] void Exec(const std::vector<char*>& argv) const {
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(output_.get(), STDOUT_FILENO);
    ::dup2(output_.get(), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }

  bool Ended() {
    int status = 0;
    if (!status_.has_value() && ::waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ =
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return status_.has_value();
  }

  UniqueFd output_;
  UniqueFd report_;
  CaseDevices devices_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

CaseResult ResultOf(Guest& guest) {
  CaseResult result;
  result.status = guest.Wait(kPatience).value_or(kHangs);
  result.output = Shorten(guest.output());
  result.report = guest.report();
  guest.Kill(SIGKILL);
  if (!guest.Wait(kPatience).has_value()) Fail("a guest can't be killed");
  if (!guest.DevicesAreWhole()) result.wrong = "its disk is another now";
  return result;
}

// The result of the guest that goes on from the snapshot, or that of the first
// one where this is what fails.
CaseResult RunFromSnapshot(const VmCase& vm_case) {
  ::mkdir(kSnapshots, 0700);
  Guest guest(vm_case);
  if (guest.WaitForOutput(kSnapshotMoment)) guest.Kill(SIGUSR2);
  CaseResult result = ResultOf(guest);
  if (result.report.find("{\"snapshot\":\"done\"") == std::string::npos) {
    result.wrong = "there is no snapshot";
  }
  if (!result.wrong.empty() || result.status != vm_case.guest_case.status) {
    return result;
  }
  Guest clone(vm_case, true);
  return ResultOf(clone);
}

}  // namespace

CaseResult RunCase(const VmCase& vm_case) {
  if (vm_case.snapshot) return RunFromSnapshot(vm_case);
  const GuestCase& guest_case = vm_case.guest_case;
  Guest guest(vm_case);
  bool answers = true;
  if (guest_case.stopped) {
    const bool ready = guest.WaitForOutput(guest_case.output);
    if (vm_case.answers) answers = ready && AnswersPeer();
    guest.Kill(SIGTERM);
  } else if (vm_case.at_level0 && guest_case.level0 == AtLevel0::kOpen) {
    if (!guest.Wait(kFreedom).has_value()) guest.Kill(SIGTERM);
  }
  CaseResult result = ResultOf(guest);
  if (!answers) result.wrong = "it does not answer pings and datagrams";
  return result;
}

}  // namespace serai::testing
