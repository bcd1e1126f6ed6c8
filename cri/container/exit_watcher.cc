// SPDX-License-Identifier: Apache-2.0
#include "cri/container/exit_watcher.h"

#include <utility>

#include "absl/time/clock.h"
#include "cri/container/termination.h"
#include "cri/log/log.h"
#include "cri/metrics/instruments.h"
#include "lib/base/fault.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

constexpr absl::Duration kEpilogueTimeout = absl::Seconds(20);
// What the container world reports for an end that nobody saw.
constexpr int kExitUnknown = 255;
// So many shims that do not answer may be waited for at a time.
constexpr int kMaxWorkers = 64;

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

// Of the end that is noted in a record.
void MakeEnd(ContainerRecord& record) {
  if (record.started_at_ns() == 0) {
    record.set_started_at_ns(record.starting_at_ns());
  }
  record.set_finished_at_ns(record.end().exited_at_ns());
  record.set_exit_code(record.end().exit_code());
  record.set_reason(record.end().reason());
  record.set_message(record.end().message());
  record.clear_end();
}

state::v1::ContainerEnd EndOf(const TaskExit& exit, const std::string& reason,
                              const std::string& message) {
  state::v1::ContainerEnd end;
  end.set_exited_at_ns(exit.exited_at_ns);
  end.set_exit_code(exit.exit_status);
  end.set_reason(reason);
  end.set_message(message);
  return end;
}

}  // namespace

void ExitWatcher::NoteEnd(Container& container,
                          const state::v1::ContainerEnd& end,
                          const std::string& last_words) {
  absl::MutexLock lock(&container.ending);
  ContainerRecord record = container.record.Get();
  // It may be written already, and the container even removed.
  if (container.ended.HasBeenNotified() || record.has_end()) return;
  *record.mutable_end() = end;
  MakeEnd(record);
  // Whoever sees the end may look for the message at once.
  const absl::Status told = WriteTerminationMessage(record, last_words);
  if (!told.ok()) {
    spdlog::warn("container {}: its termination message: {}", container.id,
                 std::string(told.message()));
  }
  const absl::Status noted = container.record.ChangeAlways(
      [&](ContainerRecord& r) { *r.mutable_end() = end; });
  if (!noted.ok()) {
    spdlog::error("container {}: how it ended is in memory only: {}",
                  container.id, std::string(noted.message()));
  }
}

void ExitWatcher::WriteEnd(Container& container) {
  absl::MutexLock lock(&container.ending);
  if (container.ended.HasBeenNotified()) return;
  const absl::Status written = container.record.ChangeAlways(MakeEnd);
  if (!written.ok()) {
    spdlog::error("container {}: its end is in memory only: {}", container.id,
                  std::string(written.message()));
  }
  CountGuestEnd(container.record.Read()->reason());
  events_.Emit(runtime::v1::CONTAINER_STOPPED_EVENT, container.id,
               container.pod_id);
  container.ended.Notify();
}

ExitWatcher::ExitWatcher(const host::CgroupHierarchy& cgroups, EventHub& events)
    : cgroups_(cgroups),
      events_(events),
      gate_(std::make_shared<Gate>()),
      workers_(kMaxWorkers) {
  absl::MutexLock lock(&gate_->mutex);
  gate_->watcher = this;
}

ExitWatcher::~ExitWatcher() {
  absl::MutexLock lock(&gate_->mutex);
  gate_->watcher = nullptr;
}

void ExitWatcher::Later(const std::shared_ptr<Gate>& gate,
                        std::function<void(ExitWatcher&)> work) {
  absl::MutexLock lock(&gate->mutex);
  ExitWatcher* const watcher = gate->watcher;
  if (watcher == nullptr) return;
  watcher->workers_.Run([watcher, work = std::move(work)] { work(*watcher); });
}

void ExitWatcher::Watch(std::shared_ptr<Container> container,
                        std::shared_ptr<Shim> shim) {
  Shim& connection = *shim;
  // Not the shim itself: its connection would hold its own end.
  connection.Wait(container->id, [gate = gate_, container,
                                  weak = std::weak_ptr<Shim>(shim)](
                                     absl::StatusOr<TaskExit> exit) {
    Later(gate, [container, weak, exit = std::move(exit)](ExitWatcher& self) {
      const std::shared_ptr<Shim> held = weak.lock();
      if (held != nullptr) {
        self.Ended(*container, *held, exit);
      } else {
        self.RecordLost(*container, "its shim was shut down");
      }
    });
  });
}

void ExitWatcher::Follow(std::shared_ptr<Container> container,
                         std::shared_ptr<Shim> shim,
                         std::function<void()> known) {
  Shim& connection = *shim;
  connection.AskState(
      container->id, [gate = gate_, container, weak = std::weak_ptr<Shim>(shim),
                      known = std::move(known)](absl::StatusOr<TaskInfo> task) {
        Later(gate, [container, weak, known,
                     task = std::move(task)](ExitWatcher& self) {
          const std::shared_ptr<Shim> held = weak.lock();
          self.Learn(container, held, task);
          known();
        });
      });
}

void ExitWatcher::Learn(const std::shared_ptr<Container>& container,
                        const std::shared_ptr<Shim>& shim,
                        const absl::StatusOr<TaskInfo>& task) {
  const std::shared_ptr<const ContainerRecord> record =
      container->record.Read();
  const bool never_started = record->starting_at_ns() == 0;
  if (PhaseOf(*record) == ContainerPhase::kExited) return;
  if (!task.ok() || shim == nullptr) {
    // A shim that lives and does not know it was never told to run it.
    const bool unknown = absl::IsNotFound(task.status()) && shim != nullptr;
    const bool ran = PhaseOf(*record) == ContainerPhase::kRunning ||
                     record->has_end() || (!never_started && !unknown);
    if (ran) {
      RecordLost(*container,
                 absl::StrCat("its shim was lost: ", task.status().message()));
    }
    return;
  }
  switch (task->state) {
    case TaskState::kCreated: {
      const absl::Status deleted = shim->Delete(container->id).status();
      if (!deleted.ok() && !absl::IsNotFound(deleted)) {
        spdlog::error("container {}: removing its task: {}", container->id,
                      std::string(deleted.message()));
      }
      // It was taken for one that runs while its shim did not answer.
      if (PhaseOf(*container->record.Read()) == ContainerPhase::kRunning) {
        RecordLost(*container, "it was never started");
      }
      return;
    }
    case TaskState::kStopped:
      return RecordExit(*container, *shim, task->exit);
    case TaskState::kRunning:
      RecordRunning(*container);
      return Watch(container, shim);
  }
}

void ExitWatcher::RecordRunning(Container& container) {
  if (PhaseOf(*container.record.Read()) != ContainerPhase::kCreated) return;
  const absl::Status written =
      container.record.ChangeAlways([](ContainerRecord& record) {
        record.set_started_at_ns(record.starting_at_ns() != 0
                                     ? record.starting_at_ns()
                                     : absl::GetCurrentTimeNanos());
      });
  if (!written.ok()) {
    spdlog::error("container {}: its start is in memory only: {}", container.id,
                  std::string(written.message()));
  }
  events_.Emit(runtime::v1::CONTAINER_STARTED_EVENT, container.id,
               container.pod_id);
}

void ExitWatcher::Ended(Container& container, Shim& shim,
                        const absl::StatusOr<TaskExit>& exit) {
  const LogScope scope;
  NoteForLog(LogField::kContainer, container.id);
  NoteForLog(LogField::kPod, container.pod_id);
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
      shim.Epilogue(container.id, kEpilogueTimeout).value_or(TaskEpilogue{});
  const std::string reason = ReasonOf(exit.exit_status, epilogue);
  std::string last_words;
  if (exit.exit_status != 0 || container.console_end.watched()) {
    auto last = shim.LastConsole(container.id);
    if (last.ok() && exit.exit_status != 0) last_words = last->data;
    if (last.ok() && container.console_end.watched()) {
      container.console_end.Keep(*std::move(last));
    }
  }
  NoteEnd(container,
          EndOf(exit, reason, exit.exit_status == 0 ? "" : epilogue.message),
          last_words);
  // Only then is it forgotten, and before it is told of, so that who waits
  // finds nothing of it left.
  const absl::Status deleted = shim.Delete(container.id).status();
  if (!deleted.ok() && !absl::IsNotFound(deleted)) {
    spdlog::warn("container {}: deleting its task: {}", container.id,
                 std::string(deleted.message()));
  }
  // Nobody is told of a failure here: only a death is one.
  FaultPoint("container.forgotten").IgnoreError();
  WriteEnd(container);
  spdlog::info("container {} has ended: {}, exit status {}", container.id,
               reason, exit.exit_status);
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
  NoteEnd(container,
          EndOf({kExitUnknown, absl::GetCurrentTimeNanos()}, "Unknown",
                std::string(why)),
          "");
  WriteEnd(container);
}

}  // namespace serai::cri
