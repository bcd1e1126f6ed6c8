// SPDX-License-Identifier: Apache-2.0
#include "cri/container/exit_watcher.h"

#include <utility>

#include "absl/time/clock.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// What the container world reports for an end that nobody saw.
constexpr int kExitUnknown = 255;

// What people see beside the exit status. A guest's own failure is "Error", as
// a process's is; what a process cannot do has a name of its own.
std::string ReasonOf(int exit_status, const TaskEpilogue& epilogue) {
  if (epilogue.oom_killed) return "OOMKilled";
  if (epilogue.ending == "abort") return "GuestAborted";
  if (epilogue.ending == "violation") return "GuestViolation";
  if (epilogue.ending == "fault") return "GuestFault";
  if (epilogue.ending == "seccomp") return "SeccompViolation";
  if (epilogue.ending == "failure") return "TenderFailed";
  return exit_status == 0 ? "Completed" : "Error";
}

}  // namespace

void ExitWatcher::WriteEnd(Container& container, const TaskExit& exit,
                           const std::string& reason,
                           const std::string& message) {
  absl::MutexLock lock(&writing_);
  // It may have been written meanwhile, and the container even removed.
  if (container.ended.HasBeenNotified()) return;
  const absl::Status written =
      container.record.ChangeAlways([&](ContainerRecord& record) {
        if (record.started_at_ns() == 0) {
          record.set_started_at_ns(exit.exited_at_ns);
        }
        record.set_finished_at_ns(exit.exited_at_ns);
        record.set_exit_code(exit.exit_status);
        record.set_reason(reason);
        record.set_message(message);
      });
  if (!written.ok()) {
    spdlog::error("container {}: its end is in memory only: {}", container.id,
                  std::string(written.message()));
  }
  container.ended.Notify();
}

ExitWatcher::ExitWatcher(const host::CgroupHierarchy& cgroups)
    : cgroups_(cgroups), thread_([this] { Run(); }) {}

ExitWatcher::~ExitWatcher() {
  {
    absl::MutexLock lock(&queue_->mutex);
    queue_->closed = true;
  }
  thread_.join();
}

void ExitWatcher::Run() {
  for (;;) {
    std::function<void()> end;
    {
      absl::MutexLock lock(&queue_->mutex);
      const auto something =
          [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(queue_->mutex) {
            return queue_->closed || !queue_->ends.empty();
          };
      queue_->mutex.Await(absl::Condition(&something));
      if (queue_->closed) return;
      end = std::move(queue_->ends.front());
      queue_->ends.pop_front();
    }
    end();
  }
}

void ExitWatcher::Watch(std::shared_ptr<Container> container,
                        std::shared_ptr<Shim> shim) {
  Shim& connection = *shim;
  connection.Wait(container->id, [this, queue = queue_, container,
                                  weak = std::weak_ptr<Shim>(shim)](
                                     absl::StatusOr<TaskExit> exit) {
    absl::MutexLock lock(&queue->mutex);
    if (queue->closed) return;
    queue->ends.push_back([this, container, weak, exit] {
      const std::shared_ptr<Shim> held = weak.lock();
      if (held != nullptr) {
        Ended(*container, *held, exit);
      } else {
        RecordLost(*container, "its shim was shut down");
      }
    });
  });
}

void ExitWatcher::Ended(Container& container, Shim& shim,
                        const absl::StatusOr<TaskExit>& exit) {
  if (exit.ok()) {
    RecordExit(container, shim, *exit);
  } else {
    RecordLost(container,
               absl::StrCat("its shim was lost: ", exit.status().message()));
  }
}

void ExitWatcher::RecordExit(Container& container, Shim& shim,
                             const TaskExit& exit) {
  if (container.ended.HasBeenNotified()) return;
  // Without the epilogue the end is still an end.
  const TaskEpilogue epilogue =
      shim.Epilogue(container.id).value_or(TaskEpilogue{});
  const std::string reason = ReasonOf(exit.exit_status, epilogue);
  // Only then is it forgotten, so that who waits finds nothing of it left.
  const absl::Status deleted = shim.Delete(container.id).status();
  if (!deleted.ok() && !absl::IsNotFound(deleted)) {
    spdlog::warn("container {}: deleting its task: {}", container.id,
                 std::string(deleted.message()));
  }
  WriteEnd(container, exit, reason,
           exit.exit_status == 0 ? "" : epilogue.message);
}

void ExitWatcher::RecordLost(Container& container, absl::string_view why) {
  if (container.ended.HasBeenNotified()) return;
  // A tender must not outlive what accounts for it.
  const ContainerRecord record = container.record.Get();
  const auto cgroup = host::Cgroup::Open(cgroups_, record.cgroup());
  absl::Status cleared = cgroup.status();
  if (cleared.ok()) cleared = cgroup->Destroy();
  if (!cleared.ok()) {
    spdlog::error("container {}: clearing its cgroup: {}", container.id,
                  std::string(cleared.message()));
  }
  WriteEnd(container, TaskExit{kExitUnknown, absl::GetCurrentTimeNanos()},
           "Unknown", std::string(why));
}

}  // namespace serai::cri
