// SPDX-License-Identifier: Apache-2.0
#include "shim/start.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "shim/daemon.h"
#include "shim/log.h"
#include "shim/socket.h"

namespace serai::shim {
namespace {

constexpr char kDefaultSocketDirectory[] = "/run/serai/s";

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<std::string> FindTender() {
  std::string self(PATH_MAX, '\0');
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size());
  if (n < 0) return ErrnoStatus(errno, "/proc/self/exe");
  self.resize(static_cast<size_t>(n));
  const std::string directory = self.substr(0, self.rfind('/'));
  const std::string beside = JoinPath(directory, "serai-tender");
  if (PathExists(beside)) return beside;
  return JoinPath(directory, "../libexec/serai/serai-tender");
}

absl::Status Detach(const std::string& log_path) {
  if (::setsid() < 0) return ErrnoStatus(errno, "setsid");
  ASSIGN_OR_RETURN(const UniqueFd null, OpenFile("/dev/null", O_RDWR));
  const absl::StatusOr<UniqueFd> log =
      OpenFile(log_path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0640);
  const int error_output = log.ok() ? log->get() : null.get();
  if (::dup2(null.get(), STDIN_FILENO) < 0 ||
      ::dup2(null.get(), STDOUT_FILENO) < 0 ||
      ::dup2(error_output, STDERR_FILENO) < 0) {
    return ErrnoStatus(errno, "dup");
  }
  if (::chdir("/") != 0) return ErrnoStatus(errno, "chdir");
  ::umask(022);
  return absl::OkStatus();
}

// Closes all but standard input and outputs and `fd`, which becomes 3: what the
// starter was given, and the lock, which must be free when it ends.
absl::Status CloseAllBut(UniqueFd& fd) {
  constexpr int kKept = STDERR_FILENO + 1;
  if (fd.get() != kKept) {
    if (::dup3(fd.get(), kKept, O_CLOEXEC) < 0) {
      return ErrnoStatus(errno, "dup");
    }
    fd.reset(kKept);
  }
  if (::syscall(SYS_close_range, unsigned{kKept + 1}, ~0U, 0) != 0) {
    return ErrnoStatus(errno, "close_range");
  }
  return absl::OkStatus();
}

// Before there is a shim: no one that runs is ever outside.
absl::Status JoinCgroup(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(const auto cgroup, host::Cgroup::Open(hierarchy, path));
  return Annotate(cgroup.AddProcess(::getpid()),
                  absl::StrCat("joining cgroup ", path));
}

[[noreturn]] void Serve(DaemonConfig config, const std::string& log_path) {
  absl::Status status = Detach(log_path);
  if (status.ok()) status = CloseAllBut(config.listener);
  if (status.ok()) status = RunDaemon(std::move(config));
  if (!status.ok()) LogWarning(status.message());
  ::_exit(status.ok() ? 0 : 1);
}

}  // namespace

absl::StatusOr<Surroundings> LookAround() {
  Surroundings surroundings;
  std::string directory(PATH_MAX, '\0');
  if (::getcwd(directory.data(), directory.size()) == nullptr) {
    return ErrnoStatus(errno, "getcwd");
  }
  surroundings.directory = directory.c_str();
  surroundings.socket_directory = FromEnvironment("SERAI_SHIM_SOCKET_DIR");
  if (surroundings.socket_directory.empty()) {
    surroundings.socket_directory = kDefaultSocketDirectory;
  }
  surroundings.cgroup = FromEnvironment("SERAI_SHIM_CGROUP");
  surroundings.tender = FromEnvironment("SERAI_TENDER");
  if (surroundings.tender.empty()) {
    ASSIGN_OR_RETURN(surroundings.tender, FindTender());
  }
  return surroundings;
}

absl::StatusOr<std::string> StartShim(const Options& options,
                                      const Surroundings& surroundings) {
  ASSIGN_OR_RETURN(const UniqueFd lock,
                   LockSocketDirectory(surroundings.socket_directory));
  ASSIGN_OR_RETURN(const std::string path,
                   SocketPath(surroundings.socket_directory,
                              options.namespace_name, options.id));
  const std::string address = absl::StrCat("unix://", path);
  ASSIGN_OR_RETURN(const bool served, IsServed(path));
  if (served) return address;
  RETURN_IF_ERROR(JoinCgroup(surroundings.cgroup));
  DaemonConfig config;
  ASSIGN_OR_RETURN(config.listener, ListenAt(path));
  config.socket_path = path;
  config.tender = surroundings.tender;
  const pid_t pid = ::fork();
  if (pid < 0) {
    const absl::Status status = ErrnoStatus(errno, "fork");
    return FirstError(status, RemovePath(path));
  }
  if (pid == 0) {
    Serve(std::move(config), JoinPath(surroundings.directory, "shim.log"));
  }
  return address;
}

}  // namespace serai::shim
