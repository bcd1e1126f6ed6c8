// SPDX-License-Identifier: Apache-2.0
#include "shim/start.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "lib/host/systemd_scope.h"
#include "shim/bundle_notes.h"
#include "shim/daemon.h"
#include "shim/log.h"
#include "shim/socket.h"
#include "shim/task_cgroup.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxInput = 4 << 20;
constexpr absl::Duration kInputTime = absl::Seconds(5);

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

bool IsFifo(const std::string& path) {
  struct stat st = {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISFIFO(st.st_mode);
}

// Where the shim's own messages go: containerd reads them from a FIFO. Opened
// for reading as well, so that it holds some while containerd is away; when it
// is full, a message is lost rather than waited with.
absl::StatusOr<UniqueFd> OpenOwnLog(const std::string& directory) {
  const std::string fifo = JoinPath(directory, "log");
  if (IsFifo(fifo)) return OpenFile(fifo, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  return OpenFile(JoinPath(directory, "shim.log"),
                  O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0640);
}

absl::Status Detach(const std::string& directory) {
  if (::setsid() < 0) return ErrnoStatus(errno, "setsid");
  ASSIGN_OR_RETURN(const UniqueFd null, OpenFile("/dev/null", O_RDWR));
  const absl::StatusOr<UniqueFd> log = OpenOwnLog(directory);
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
absl::Status JoinCgroup(const std::string& cgroups_path) {
  if (cgroups_path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const CgroupPlace place, ParseCgroupsPath(cgroups_path));
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  if (!place.scope.empty()) {
    const host::SystemdScopes systemd(hierarchy.is_v2());
    return systemd.Start({place.scope, place.slice, ::getpid(), {}}).status();
  }
  ASSIGN_OR_RETURN(const auto cgroup,
                   host::Cgroup::Open(hierarchy, place.path));
  return Annotate(cgroup.AddProcess(::getpid()),
                  absl::StrCat("joining cgroup ", place.path));
}

[[noreturn]] void Serve(DaemonConfig config, const std::string& directory) {
  absl::Status status = Detach(directory);
  if (status.ok()) status = CloseAllBut(config.listener);
  if (status.ok()) status = RunDaemon(std::move(config));
  if (!status.ok()) LogWarning(status.message());
  ::_exit(status.ok() ? 0 : 1);
}

// The address of the shim in `config`; starts it unless it is there.
absl::StatusOr<std::string> FindOrStart(const Surroundings& surroundings,
                                        const std::string& socket_directory,
                                        const std::string& path,
                                        DaemonConfig config) {
  ASSIGN_OR_RETURN(const UniqueFd lock, LockSocketDirectory(socket_directory));
  const std::string address = absl::StrCat("unix://", path);
  ASSIGN_OR_RETURN(const bool served, IsServed(path));
  if (served) return address;
  RETURN_IF_ERROR(JoinCgroup(surroundings.cgroup));
  ASSIGN_OR_RETURN(config.listener, ListenAt(path));
  config.socket_path = path;
  const pid_t pid = ::fork();
  if (pid < 0) {
    const absl::Status status = ErrnoStatus(errno, "fork");
    return FirstError(status, RemovePath(path));
  }
  if (pid == 0) Serve(std::move(config), surroundings.directory);
  return address;
}

// Up to 1.7, containerd looks in the bundle for the address when it has been
// restarted; `delete` looks there as well.
absl::Status NoteAddress(const std::string& directory,
                         const std::string& address) {
  return WriteFileAtomic(JoinPath(directory, kAddressFile), address, 0600,
                         Durability::kProcess);
}

}  // namespace

absl::StatusOr<std::string> ReadInput() {
  if (::isatty(STDIN_FILENO) == 1) return "";
  const absl::Time deadline = absl::Now() + kInputTime;
  std::string input;
  std::array<char, 4096> chunk;
  for (;;) {
    pollfd readable = {STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(
        &readable, 1,
        static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return ErrnoStatus(errno, "poll");
    if (ready == 0 || absl::Now() > deadline) {
      return absl::DeadlineExceededError("standard input does not end");
    }
    // A closed one reads as nothing.
    const ssize_t n = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n == 0 || (n < 0 && errno == EBADF)) return input;
    if (n < 0 && errno != EINTR) return ErrnoStatus(errno, "standard input");
    if (n > 0) input.append(chunk.data(), static_cast<size_t>(n));
    if (input.size() > kMaxInput) {
      return absl::ResourceExhaustedError("standard input is too long");
    }
  }
}

absl::StatusOr<Surroundings> LookAround() {
  Surroundings surroundings;
  std::string directory(PATH_MAX, '\0');
  if (::getcwd(directory.data(), directory.size()) == nullptr) {
    return ErrnoStatus(errno, "getcwd");
  }
  surroundings.directory = directory.c_str();
  surroundings.socket_directory = FromEnvironment("SERAI_SHIM_SOCKET_DIR");
  surroundings.cgroup = FromEnvironment("SERAI_SHIM_CGROUP");
  surroundings.environment.ttrpc_address = FromEnvironment("TTRPC_ADDRESS");
  surroundings.environment.max_version = FromEnvironment("MAX_SHIM_VERSION");
  surroundings.tender = FromEnvironment("SERAI_TENDER");
  if (surroundings.tender.empty()) {
    ASSIGN_OR_RETURN(surroundings.tender, FindTender());
  }
  return surroundings;
}

absl::StatusOr<std::string> StartShim(const Options& options,
                                      const Surroundings& surroundings,
                                      absl::string_view input) {
  ASSIGN_OR_RETURN(const Bootstrap bootstrap,
                   ReadBootstrap(options, surroundings.environment, input));
  ASSIGN_OR_RETURN(const BundleNotes notes,
                   ReadBundleNotes(surroundings.directory));
  DaemonConfig config;
  config.namespace_name = options.namespace_name;
  config.pod = notes.group.empty() ? options.id : notes.group;
  config.tender = surroundings.tender;
  config.events_address = bootstrap.events_address;
  const std::string directory = SocketDirectory(surroundings.socket_directory,
                                                bootstrap.socket_directory);
  ASSIGN_OR_RETURN(const std::string path,
                   SocketPath(directory, options.namespace_name, config.pod,
                              options.address));
  ASSIGN_OR_RETURN(
      const std::string address,
      FindOrStart(surroundings, directory, path, std::move(config)));
  if (!bootstrap.events_address.empty()) {
    RETURN_IF_ERROR(NoteAddress(surroundings.directory, address));
  }
  // Version 3 promises containerd that a pod's containers need no `start` and
  // no `delete` of their own. 1.7 does not know it, and cannot be told from 2.0
  // to 2.2, except that it gives a bundle without specification to nobody:
  // that is a sandbox of the sandbox API.
  const bool is_new =
      bootstrap.answer == Bootstrap::Answer::kProtobuf || !notes.has_config;
  return FormatAnswer(bootstrap.answer, is_new ? 3 : 2, address);
}

}  // namespace serai::shim
