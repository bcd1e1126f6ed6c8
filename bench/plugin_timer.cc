// SPDX-License-Identifier: Apache-2.0
// Stands in for a CNI plugin of the same name: runs the real one and appends
// "<plugin> <command> <microseconds>" to times.log in the directory it was
// called from. Lets the benchmark tell the plugins' time from ours. The real
// one is in "real" below that directory, or else Debian's.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

constexpr char kRealPlugins[] = "/usr/lib/cni/";

}  // namespace

int main(int, char** argv) {
  const std::string self = argv[0];
  const size_t slash = self.find_last_of('/');
  const std::string name = self.substr(slash + 1);
  std::string real = self.substr(0, slash) + "/real/" + name;
  if (::access(real.c_str(), X_OK) != 0) real = kRealPlugins + name;
  char* const args[] = {real.data(), nullptr};
  const auto start = std::chrono::steady_clock::now();
  pid_t pid = -1;
  if (::posix_spawn(&pid, real.c_str(), nullptr, nullptr, args, environ) != 0) {
    return 127;
  }
  int status = 0;
  if (::waitpid(pid, &status, 0) < 0) return 127;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - start);
  const char* command = std::getenv("CNI_COMMAND");
  const std::string log_path = self.substr(0, slash) + "/times.log";
  if (std::FILE* log = std::fopen(log_path.c_str(), "a"); log != nullptr) {
    std::fprintf(log, "%s %s %lld\n", name.c_str(),
                 command == nullptr ? "-" : command,
                 static_cast<long long>(took.count()));
    std::fclose(log);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
