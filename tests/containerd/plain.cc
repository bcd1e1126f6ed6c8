// SPDX-License-Identifier: Apache-2.0
// An ordinary program for runc: says a word, then waits for its end, which it
// reports. Static, and the only file of its image.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

void Say(const char* text) {
  if (::write(STDOUT_FILENO, text, std::strlen(text)) < 0) std::_Exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  Say("plain: an ordinary process\n");
  if (argc > 1) return std::atoi(argv[1]);
  int received = 0;
  sigwait(&signals, &received);
  Say("plain: told to end\n");
  return 0;
}
