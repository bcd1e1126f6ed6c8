// SPDX-License-Identifier: Apache-2.0
#include "tests/support/registry.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {
namespace {

constexpr char kProgram[] = "/usr/bin/docker-registry";
constexpr absl::Duration kPatience = absl::Seconds(20);
// bcrypt of LocalRegistry::kPassword.
constexpr char kHtpasswd[] =
    "caravan:$2y$04$caravanseraihostoftheeVeR8S5pHnR.pzdyNXd4w1FtYExEin3K\n";

std::string Configuration(const std::string& directory,
                          LocalRegistry::Auth auth, const std::string& tls,
                          const std::string& client_ca) {
  std::string text = absl::StrCat(
      "version: 0.1\n"
      "log: {level: info}\n"
      "storage:\n"
      "  filesystem: {rootdirectory: ",
      JoinPath(directory, "storage"),
      "}\n"
      "  delete: {enabled: true}\n"
      "http:\n"
      "  addr: 127.0.0.1:0\n"
      "  secret: test\n");
  if (!tls.empty()) {
    const std::string clients =
        client_ca.empty() ? "" : absl::StrCat(", clientcas: [", client_ca, "]");
    absl::StrAppend(&text, "  tls: {certificate: ", tls, ", key: ", tls,
                    clients, "}\n");
  }
  if (auth == LocalRegistry::Auth::kBasic) {
    absl::StrAppend(&text, "auth:\n  htpasswd: {realm: serai-test, path: ",
                    JoinPath(directory, "htpasswd"), "}\n");
  }
  return text;
}

// The address in "… listening on 127.0.0.1:40123 …"; empty when not there yet.
std::string ListeningAddress(const std::string& log) {
  static constexpr char kWords[] = "listening on 127.0.0.1:";
  const size_t words = log.find(kWords);
  if (words == std::string::npos) return "";
  const size_t begin = log.find("127.", words);
  const size_t end = log.find_first_not_of("0123456789.:", begin);
  return end == std::string::npos ? "" : log.substr(begin, end - begin);
}

}  // namespace

std::string LacksLocalRegistry() {
  if (::access(kProgram, X_OK) == 0) return "";
  return absl::StrCat(kProgram, " is not there (docker-registry)");
}

absl::StatusOr<std::unique_ptr<LocalRegistry>> LocalRegistry::Start(
    Auth auth, const std::string& tls, const std::string& client_ca) {
  std::unique_ptr<LocalRegistry> registry(new LocalRegistry());
  RETURN_IF_ERROR(registry->Launch(auth, tls, client_ca));
  RETURN_IF_ERROR(registry->AwaitListening());
  return registry;
}

absl::Status LocalRegistry::Launch(Auth auth, const std::string& tls,
                                   const std::string& client_ca) {
  const std::string config = directory_ / "config.yml";
  RETURN_IF_ERROR(WriteFileAtomic(
      config, Configuration(directory_.path(), auth, tls, client_ca)));
  RETURN_IF_ERROR(WriteFileAtomic(directory_ / "htpasswd", kHtpasswd));
  ASSIGN_OR_RETURN(const UniqueFd log,
                   OpenFile(directory_ / "log", O_WRONLY | O_CREAT));
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return ErrnoStatus(errno, "fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(log.get(), STDOUT_FILENO);
    ::dup2(log.get(), STDERR_FILENO);
    ::execl(kProgram, kProgram, "serve", config.c_str(), nullptr);
    ::_exit(127);
  }
  return absl::OkStatus();
}

absl::Status LocalRegistry::AwaitListening() {
  const absl::Time deadline = absl::Now() + kPatience;
  std::string log;
  while (absl::Now() < deadline) {
    ASSIGN_OR_RETURN(log, ReadFile(directory_ / "log", 1 << 20));
    host_ = ListeningAddress(log);
    if (!host_.empty()) return absl::OkStatus();
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::UnavailableError(
          absl::StrCat("docker-registry ended: ", log));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("docker-registry does not listen: ", log));
}

LocalRegistry::~LocalRegistry() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace serai::testing
