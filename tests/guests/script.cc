// SPDX-License-Identifier: Apache-2.0
// Runs a small script, so that a container's command says what it does: the
// words of a shell that need no processes.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr int kExitNotFound = 127;  // a shell's own
constexpr size_t kMaxWords = 512;
constexpr uint64_t kMaxSleep = 1'000'000;  // seconds
constexpr uint64_t kTopPause = 5 * kSecond;
constexpr std::string_view kSeparator = ";";

[[noreturn]] void Fail(std::string_view what, std::string_view word) {
  Print("script: ", what, ": ", word);
  Exit(kExitUsage);
}

void Sleep(uint64_t duration) {
  const uint64_t start = MonotonicTime();
  // Someone may wake us up early.
  for (uint64_t now = start; now < start + duration; now = MonotonicTime()) {
    Poll(start + duration - now);
  }
}

[[noreturn]] void Top() {
  while (true) {
    Print("top: up ", MonotonicTime() / kSecond, " s, ", MemorySize() >> 20,
          " MiB of memory");
    Sleep(kTopPause);
  }
}

class Script {
 public:
  // A command that is words already.
  explicit Script(std::span<const std::string_view> words) {
    for (const std::string_view word : words) Add(word);
  }
  // Commands with semicolons and newlines between them.
  explicit Script(std::string_view text) {
    while (!text.empty()) {
      const size_t end = text.find_first_of(" ;\n");
      if (end != 0) Add(text.substr(0, end));
      if (end == text.npos) return;
      if (text[end] != ' ') Add(kSeparator);
      text.remove_prefix(end + 1);
    }
  }

  void Run() {
    size_t at = 0;
    RunList(at);
    if (at < size_) Fail("nothing to end here", words_[at]);
  }

 private:
  void Add(std::string_view word) {
    if (size_ == kMaxWords) Fail("too many words, from", word);
    words_[size_++] = word;
  }

  // Commands from `at`, up to the end or a "done".
  void RunList(size_t& at) {
    while (at < size_ && words_[at] != "done") {
      if (words_[at] == kSeparator) {
        ++at;
      } else if (words_[at] == "while") {
        RunLoop(at);
      } else {
        RunCommand(at);
      }
    }
  }

  // while true; do …; done: for ever, unless the guest exits.
  void RunLoop(size_t& at) {
    for (const std::string_view word :
         {std::string_view("while"), std::string_view("true"), kSeparator,
          std::string_view("do")}) {
      if (at >= size_ || words_[at] != word) {
        Fail("a loop is \"while true; do …; done\", and lacks", word);
      }
      ++at;
    }
    size_t end = at;
    while (end < size_ && words_[end] != "done") ++end;
    if (end == size_) Fail("a loop lacks its", "done");
    while (true) {
      size_t next = at;
      RunList(next);
    }
  }

  void RunCommand(size_t& at) {
    const size_t begin = at;
    while (at < size_ && words_[at] != kSeparator) ++at;
    const std::span<const std::string_view> command(&words_[begin], at - begin);
    const std::string_view name = command.front();
    if (name == "echo") {
      Echo(command.subspan(1));
    } else if (name == "sleep") {
      Sleep(Operand(command, kMaxSleep) * kSecond);
    } else if (name == "exit") {
      Exit(static_cast<int>(Operand(command, 255)));
    } else if (name == "top") {
      Top();
    } else if (name != "true") {
      Print("script: ", name, ": no command of echo, sleep, exit, top, true");
      Exit(kExitNotFound);
    }
  }

  static void Echo(std::span<const std::string_view> words) {
    const bool newline = words.empty() || words.front() != "-n";
    if (!newline) words = words.subspan(1);
    char data[8192];  // no command line is longer
    Writer line(data, sizeof(data));
    for (const std::string_view& word : words) {
      if (&word != words.data()) line.Append(' ');
      line.Append(word);
    }
    if (newline) line.Append('\n');
    WriteConsole(line.text());
  }

  static uint64_t Operand(std::span<const std::string_view> command,
                          uint64_t max) {
    const auto number =
        command.size() == 2 ? ParseNumber(command[1], max) : std::nullopt;
    if (!number.has_value()) Fail("one number has to follow", command.front());
    return *number;
  }

  std::string_view words_[kMaxWords];
  size_t size_ = 0;
};

}  // namespace

int Main() {
  const std::span<const std::string_view> words = SplitCommandLine();
  if (words.empty()) Fail("no command of echo, sleep, exit, top, true", "");
  if (words.size() == 3 && words[0] == "sh" && words[1] == "-c") {
    Script(words[2]).Run();
  } else {
    Script(words).Run();
  }
  return 0;
}

}  // namespace serai::guest
