// SPDX-License-Identifier: Apache-2.0
#include "shim/daemon.h"

#include <link.h>
#include <malloc.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "lib/base/event_loop.h"
#include "lib/base/file.h"
#include "lib/ttrpc/server.h"
#include "shim/children.h"
#include "shim/event_publisher.h"
#include "shim/log.h"
#include "shim/pod.h"
#include "shim/services.h"

namespace serai::shim {
namespace {

// containerd creates a task as soon as its shim answers. One that was killed in
// between does not remember the shim, and nobody else would end it.
constexpr absl::Duration kFirstTask = absl::Minutes(1);
constexpr char kOomScoreAdj[] = "/proc/self/oom_score_adj";
constexpr size_t kMaxNumber = 32;
constexpr absl::Duration kLastEvents = absl::Seconds(2);

// What the shim was started with: a task's, when its specification says
// nothing.
int OwnOomScoreAdj() {
  int value = 0;
  const absl::StatusOr<std::string> text = ReadFile(kOomScoreAdj, kMaxNumber);
  if (!text.ok() ||
      !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &value)) {
    return 0;
  }
  return value;
}

// The shim is the last that should die when memory is short: with it die all
// tenders of its pod. Whether that is granted depends on where we run.
void ProtectFromOom() {
  const absl::Status status = WriteControlFile(kOomScoreAdj, "-999");
  if (!status.ok()) LogWarning(status.message());
}

// Buffers as large as a console's are given back to the node when they are not
// needed any more. What is smaller is when a task is deleted.
void KeepHeapSmall() {
  constexpr int kLargeBuffer = 32 * 1024;
  ::mallopt(M_MMAP_THRESHOLD, kLargeBuffer);
}

// Pages of the program that only its start needed, relocations above all: the
// kernel maps them again should anyone look.
void ForgetTheStart() {
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void*) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) {
            continue;
          }
          const auto page = static_cast<uintptr_t>(::getpagesize());
          const uintptr_t begin =
              (info->dlpi_addr + segment.p_vaddr) & ~(page - 1);
          const uintptr_t end =
              info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
          ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
        return 1;  // the program comes first, and there is nothing else
      },
      nullptr);
}

}  // namespace

absl::Status RunDaemon(DaemonConfig config) {
  absl::Cleanup remove_socket = [&] {
    const absl::Status status = RemovePath(config.socket_path);
    if (!status.ok()) LogWarning(status.message());
  };
  if (::signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
    return ErrnoStatus(errno, "signal");
  }
  // What a tender might leave behind is ours to reap.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return ErrnoStatus(errno, "prctl");
  }
  ASSIGN_OR_RETURN(const UniqueFd signals, OpenSignalFd({SIGCHLD, SIGTERM}));
  ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  Children children;
  ASSIGN_OR_RETURN(const UniqueFd node_netns,
                   OpenFile("/proc/self/ns/net", O_RDONLY));
  const TaskHost host = {*loop,
                         children,
                         config.tender,
                         OwnOomScoreAdj(),
                         config.namespace_name,
                         config.pod,
                         node_netns.get()};
  ProtectFromOom();
  KeepHeapSmall();
  ForgetTheStart();

  Pod pod(host);
  EventPublisher events(*loop, config.events_address, config.namespace_name);
  // The last of the events go out before the shim ends.
  bool ending = false;
  const auto end = [&] {
    if (std::exchange(ending, true)) return;
    pod.Close();
    // While it still listens: from then on the path may be another shim's.
    std::move(remove_socket).Invoke();
    events.Drain(kLastEvents, [&] { loop->Stop(); });
  };
  Services services(pod, events, end);
  ttrpc::Server server(
      *loop, [&](const ttrpc::Call& call, const ttrpc::Server::Reply& reply) {
        services.Handle(call, reply);
      });
  RETURN_IF_ERROR(loop->Watch(signals.get(), EPOLLIN, [&](uint32_t) {
    switch (NextSignal(signals.get())) {
      case SIGCHLD:
        children.Reap();
        break;
      case SIGTERM:
        pod.DestroyAll();
        end();
        break;
      default:
        break;
    }
  }));
  RETURN_IF_ERROR(server.Listen(std::move(config.listener)));
  if (!config.events_address.empty()) {
    loop->AddTimer(kFirstTask, [&] {
      if (!pod.had_task()) end();
    });
  }
  return loop->Run();
}

}  // namespace serai::shim
