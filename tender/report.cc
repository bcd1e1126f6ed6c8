// SPDX-License-Identifier: Apache-2.0
#include "tender/report.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "tender/line.h"

namespace serai::tender {
namespace {

constexpr int kAbortStatus = 255;
constexpr size_t kMaxMessage = 512;
// In milliseconds, for a reader that is only slow.
constexpr int kPatience = 100;

const char* program_name = "serai-tender";
int status_fd = -1;
EndHook end_hook = nullptr;
void* end_hook_context = nullptr;

struct Message {
  char text[kMaxMessage];

  void Format(const char* format, std::va_list arguments)
      __attribute__((format(printf, 2, 0))) {
    std::vsnprintf(text, sizeof(text), format, arguments);
  }
};

// Writes `line` where its reader lets it: a tender that has to end does not
// wait for somebody who does not read. A pipe that has room at all takes
// PIPE_BUF bytes at once.
void WriteBounded(int fd, std::string_view line, int milliseconds) {
  while (!line.empty()) {
    pollfd ready = {fd, POLLOUT, 0};
    if (::poll(&ready, 1, milliseconds) <= 0) return;
    const ssize_t n =
        ::write(fd, line.data(), std::min<size_t>(line.size(), PIPE_BUF));
    if (n <= 0) return;
    line.remove_prefix(static_cast<size_t>(n));
  }
}

// One write, so that the lines of several tenders do not mix.
void WriteLine(std::string_view message) {
  char buffer[kMaxMessage];
  Line line({buffer, sizeof(buffer) - 1});
  line.Text(program_name).Text(": ").Text(message);
  const size_t length = line.text().size();
  buffer[length] = '\n';
  WriteBounded(STDERR_FILENO, {buffer, length + 1}, kPatience);
}

[[noreturn]] void Finish(End end, int status) {
  if (EndHook hook = end_hook; hook != nullptr) {
    end_hook = nullptr;
    hook(end_hook_context, end, status);
  }
  ::_exit(status);
}

[[noreturn]] void EndWithMessage(End end, std::string_view name,
                                 const Message& message) {
  WriteLine(message.text);
  char buffer[2 * kMaxMessage + 64];
  Line line(buffer);
  line.Text("{\"end\":\"").Text(name).Text("\",\"status\":1,\"message\":");
  line.Quoted(message.text).Text("}\n");
  WriteStatus(line.text());
  Finish(end, 1);
}

void AddField(std::string_view name, uint64_t value, Line* line) {
  line->Text("\"").Text(name).Text("\":").Text("\"").Hex(value).Text("\"");
}

void AddTrap(const Trap& trap, Line* line) {
  struct Field {
    std::string_view name;
    uint64_t Trap::*value;
  };
  static constexpr Field kFields[] = {
      {"cr2", &Trap::cr2}, {"error", &Trap::error},   {"rip", &Trap::rip},
      {"cs", &Trap::cs},   {"rflags", &Trap::rflags}, {"rsp", &Trap::rsp},
      {"ss", &Trap::ss},
  };
  line->Text(",\"trap\":{");
  for (const Field& field : kFields) {
    if (&field != kFields) line->Text(",");
    AddField(field.name, trap.*field.value, line);
  }
  line->Text("}");
}

void AddRegisters(const uint64_t* registers, Line* line) {
  static constexpr std::string_view kNames[] = {
      "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  line->Text(",\"registers\":{");
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (i > 0) line->Text(",");
    AddField(kNames[i], registers[i], line);
  }
  line->Text("}");
}

}  // namespace

void SetProgramName(const char* argv0) {
  const char* slash = std::strrchr(argv0, '/');
  program_name = slash == nullptr ? argv0 : slash + 1;
}

const char* ProgramName() { return program_name; }

void SetStatusFd(int fd) { status_fd = fd; }

int StatusFd() { return status_fd; }

void WriteStatus(std::string_view line) {
  if (status_fd < 0) return;
  WriteBounded(status_fd, line, kPatience);
}

void WriteToCaller(std::string_view line) {
  WriteBounded(status_fd >= 0 ? status_fd : STDERR_FILENO, line, kPatience);
}

void SetEndHook(EndHook hook, void* context) {
  end_hook = hook;
  end_hook_context = context;
}

void Warn(const char* format, ...) {
  Message message;
  std::va_list arguments;
  va_start(arguments, format);
  message.Format(format, arguments);
  va_end(arguments);
  WriteLine(message.text);
}

void Fatal(const char* format, ...) {
  Message message;
  std::va_list arguments;
  va_start(arguments, format);
  message.Format(format, arguments);
  va_end(arguments);
  EndWithMessage(End::kFailure, "failure", message);
}

void Violation(const char* format, ...) {
  Message message;
  std::va_list arguments;
  va_start(arguments, format);
  message.Format(format, arguments);
  va_end(arguments);
  EndWithMessage(End::kViolation, "violation", message);
}

void EndWithStatus(int32_t status) {
  char buffer[64];
  WriteStatus(Line(buffer)
                  .Text("{\"end\":\"exit\",\"status\":")
                  .Signed(status)
                  .Text("}\n")
                  .text());
  const int reported = status & 0xff;
  Finish(End::kExit, reported == 0 && status != 0 ? kAbortStatus : reported);
}

void EndWithSignal(int number) {
  const int status = 128 + number;
  char buffer[64];
  WriteStatus(Line(buffer)
                  .Text("{\"end\":\"signal\",\"status\":")
                  .Signed(status)
                  .Text(",\"signal\":")
                  .Signed(number)
                  .Text("}\n")
                  .text());
  Finish(End::kSignal, status);
}

void EndWithAbort(const Trap* trap, const uint64_t* registers) {
  char buffer[1024];
  Line line(buffer);
  line.Text("{\"end\":\"abort\",\"status\":255");
  if (trap == nullptr) {
    Warn("the guest aborted");
  } else {
    Warn("the guest aborted: error=0x%llx, cr2=0x%llx, rip=0x%llx, rsp=0x%llx",
         static_cast<unsigned long long>(trap->error),
         static_cast<unsigned long long>(trap->cr2),
         static_cast<unsigned long long>(trap->rip),
         static_cast<unsigned long long>(trap->rsp));
    AddTrap(*trap, &line);
    if (registers != nullptr) AddRegisters(registers, &line);
  }
  WriteStatus(line.Text("}\n").text());
  Finish(End::kAbort, kAbortStatus);
}

}  // namespace serai::tender
