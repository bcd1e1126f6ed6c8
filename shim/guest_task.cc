// SPDX-License-Identifier: Apache-2.0
#include "shim/guest_task.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/rollback.h"
#include "shim/arguments.h"
#include "shim/device_counters.h"
#include "shim/guest.h"
#include "shim/guest_spec.h"
#include "shim/log.h"
#include "shim/namespace_visit.h"
#include "shim/pod_network.h"
#include "shim/rootfs.h"

namespace serai::shim {
namespace {

// As a shell has it for a program that could not be executed.
constexpr uint32_t kCannotExecute = 127;

// A tender answers between two of its guest's instructions.
constexpr absl::Duration kCountersTimeout = absl::Seconds(2);
// The other tasks wait meanwhile. A process that can't run, in a frozen cgroup
// or waiting for a disk, ends when it can.
constexpr absl::Duration kEndTimeout = absl::Seconds(2);
// It writes 4 GiB at most, to whatever disk that is.
constexpr absl::Duration kSnapshotTimeout = absl::Minutes(2);
// The node has a link for each pod.
constexpr size_t kMaxNetDev = 16 << 20;

uint64_t NumberIn(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned()
             ? found->get<uint64_t>()
             : 0;
}

}  // namespace

GuestTask::GuestTask(const TaskHost& host,
                     const task::CreateTaskRequest& request,
                     oci::RuntimeSpec spec)
    : Task(request),
      host_(host),
      spec_(std::move(spec)),
      memory_limit_(spec_.resources.memory_limit),
      requests_(host.loop),
      status_pipe_(host.loop,
                   [this](absl::string_view line) { requests_.Line(line); }) {}

// The pid of one that has ended may be another's by now.
GuestTask::~GuestTask() {
  if (pidfd_) host_.children.Forget(record_.pid);
}

absl::StatusOr<std::unique_ptr<GuestTask>> GuestTask::Create(
    const TaskHost& host, const task::CreateTaskRequest& request,
    oci::RuntimeSpec spec) {
  std::unique_ptr<GuestTask> created(
      new GuestTask(host, request, std::move(spec)));
  RETURN_IF_ERROR(created->Prepare());
  return created;
}

absl::Status GuestTask::Prepare() {
  // The child takes these over; ours are closed on return.
  ASSIGN_OR_RETURN(const UniqueFd root, OpenRoot(request(), spec_));
  Rollback rollback([](const std::string& what, const absl::Status& error) {
    LogWarning(absl::StrCat("undoing: ", what, ": ", error.message()));
  });
  if (!spec_.complete) {
    ASSIGN_OR_RETURN(
        CompletedSpec completed,
        CompleteSpec(spec_, {root.get(), request().bundle(), host_.tender}));
    rollback.Add("images", [this] { return RemoveImages(request().bundle()); });
    spec_ = std::move(completed.spec);
    record_.taps = std::move(completed.taps);
    rollback.Add("taps", [this] { return RemoveTaps(); });
  }
  ASSIGN_OR_RETURN(Guest guest, OpenGuest(spec_, root.get(), host_.node_netns));
  target_ = guest.target;
  RETURN_IF_ERROR(AnswerDhcp(guest));
  if (!request().checkpoint().empty()) {
    RETURN_IF_ERROR(CheckTarget("restored"));
    ASSIGN_OR_RETURN(guest.snapshot, OpenSnapshot(request().checkpoint()));
  }

  record_.id = request().id();
  record_.pod = host_.pod;
  if (!spec_.cgroups_path.empty()) {
    ASSIGN_OR_RETURN(cgroup_,
                     TaskCgroup::Make(host_.loop, spec_.cgroups_path,
                                      LimitsOf(spec_.resources)),
                     "cgroup ", spec_.cgroups_path);
    rollback.Add("cgroup", [this] { return cgroup_->Remove(); });
    NoteCgroup();
  }
  ASSIGN_OR_RETURN(output_, OpenOutput(host_.loop, request(), host_.ns));
  if (output_) rollback.Add("output", [this] { return output_->Discard(); });
  ASSIGN_OR_RETURN(input_, InputDrain::Open(host_.loop, request().stdin()));
  console_ = std::make_unique<Console>(host_.loop, output_.get());
  RETURN_IF_ERROR(ForkTender(guest));
  rollback.Add("tender", [this] { return EndChild().status(); });
  RETURN_IF_ERROR(WriteTaskRecord(request().bundle(), record_));
  rollback.Commit();
  return absl::OkStatus();
}

absl::Status GuestTask::AnswerDhcp(Guest& guest) {
  for (size_t i = 0; i < guest.dhcp.size(); ++i) {
    if (!guest.dhcp[i].valid()) continue;
    ASSIGN_OR_RETURN(std::unique_ptr<DhcpResponder> responder,
                     DhcpResponder::Create(host_.loop, std::move(guest.dhcp[i]),
                                           spec_.devices[i]));
    dhcp_.push_back(std::move(responder));
  }
  return absl::OkStatus();
}

absl::Status GuestTask::RemoveTaps() const {
  absl::Status removed;
  for (const RecordedTap& tap : record_.taps) {
    removed = FirstError(std::move(removed), RemoveTap(tap));
  }
  return removed;
}

void GuestTask::NoteCgroup() {
  TaskCgroup::Record noted = cgroup_->record();
  record_.cgroup = std::move(noted.path);
  record_.made_cgroups = std::move(noted.made);
  record_.scope = std::move(noted.scope);
}

void GuestTask::Admit(OnReady on_ready) {
  if (!cgroup_ || !cgroup_->needs_admission()) {
    return on_ready(absl::OkStatus());
  }
  cgroup_->Admit(pid(), [this, on_ready = std::move(on_ready)](
                            const absl::Status& admitted) {
    if (!admitted.ok()) return on_ready(admitted);
    NoteCgroup();
    on_ready(WriteTaskRecord(request().bundle(), record_));
  });
}

absl::Status GuestTask::ForkTender(const Guest& guest) {
  ASSIGN_OR_RETURN(const UniqueFd status, status_pipe_.Open());
  SnapshotChannel snapshots;
  if (target_ == solo5::Target::kHvt) {
    ASSIGN_OR_RETURN(snapshots, OpenSnapshotChannel());
  }
  ASSIGN_OR_RETURN(const TenderCommand command,
                   MakeTenderCommand(spec_, guest, status.get(),
                                     snapshots.tender_end.get()));
  ASSIGN_OR_RETURN(const Console::WriteEnds console, console_->Open());
  const Launch launch = {
      .program = host_.tender,
      .command = command,
      .output = console.output.get(),
      .error_output = console.error_output.get(),
      .netns = guest.netns.get(),
      .cgroup = cgroup_ && !cgroup_->needs_admission() ? cgroup() : nullptr,
      .oom_score_adj = spec_.oom_score_adj.value_or(host_.oom_score_adj),
      .hold_requests = target_ == solo5::Target::kHvt};
  ASSIGN_OR_RETURN(waiting_tender_, WaitingTender::Fork(launch));
  record_.pid = waiting_tender_->pid();
  // Our child, not reaped: this can fail for want of descriptors only.
  absl::StatusOr<host::Pidfd> pidfd = host::Pidfd::Open(record_.pid);
  const absl::StatusOr<uint64_t> start_time =
      host::ProcessStartTime(record_.pid);
  if (!pidfd.ok() || !start_time.ok()) {
    EndChild().status().IgnoreError();
    return FirstError(pidfd.status(), start_time.status());
  }
  pidfd_ = *std::move(pidfd);
  record_.start_time = *start_time;
  snapshots_ = std::move(snapshots.shim_end);
  host_.children.Add(record_.pid,
                     [this](int wait_status) { Ended(wait_status); });
  return absl::OkStatus();
}

absl::Status GuestTask::CheckTarget(absl::string_view what) const {
  if (target_ == solo5::Target::kHvt) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("an spt unikernel, which is a process on the node's kernel, "
                   "can't be ",
                   what, "; an hvt build of it can"));
}

absl::Status GuestTask::Start() {
  RETURN_IF_ERROR(CheckCreated());
  if (status() != task::TASK_CREATED) {
    return absl::FailedPreconditionError("the task was started before");
  }
  if (cgroup_) {
    oom_watch_.emplace(host_.loop, *cgroup(), [this] {
      oom_killed_ = true;
      if (on_oom_) on_oom_();
    });
  }
  SetStarted();
  const absl::Status status = waiting_tender_->Exec();
  waiting_tender_.reset();
  if (status.ok()) return absl::OkStatus();
  SetNotStarted();
  // It ends by itself. Whether it did already, or is killed here: 127 it is.
  RETURN_IF_ERROR(EndChild().status());
  Finish(kCannotExecute, Ending::kFailure);
  return status;
}

absl::StatusOr<int> GuestTask::EndChild() {
  // Our child, and not reaped: the pid is its own.
  ::kill(record_.pid, SIGKILL);
  if (pidfd_) {
    ASSIGN_OR_RETURN(const bool ended, pidfd_->Wait(kEndTimeout));
    if (!ended) {
      return absl::DeadlineExceededError(
          absl::StrCat("process ", record_.pid,
                       " does not end: it is frozen, or waits for a disk"));
    }
  }
  host_.children.Forget(record_.pid);
  int wait_status = 0;
  while (::waitpid(record_.pid, &wait_status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "waitpid");
  }
  return wait_status;
}

absl::Status GuestTask::Kill(int signal_number) {
  RETURN_IF_ERROR(CheckSignal(signal_number));
  if (exit()) return absl::NotFoundError("the task has ended");
  // Who pauses a task resumes it, and nobody else.
  if (paused_ && signal_number == SIGCONT) return absl::OkStatus();
  if (started_at()) {
    RETURN_IF_ERROR(pidfd_->SendSignal(signal_number));
    last_signal_ = signal_number;
    return absl::OkStatus();
  }
  if (IsHarmless(signal_number)) return absl::OkStatus();
  RETURN_IF_ERROR(EndChild().status());
  last_signal_ = signal_number;
  Finish(kSignalExitBase + static_cast<uint32_t>(signal_number),
         Ending::kSignal);
  return absl::OkStatus();
}

void GuestTask::Ended(int wait_status) {
  if (oom_watch_) {
    oom_watch_->Finish(WIFSIGNALED(wait_status) &&
                       WTERMSIG(wait_status) == SIGKILL &&
                       last_signal_ != SIGKILL);
  }
  oom_watch_.reset();
  status_pipe_.Finish();
  Finish(WIFSIGNALED(wait_status)
             ? kSignalExitBase + static_cast<uint32_t>(WTERMSIG(wait_status))
             : static_cast<uint32_t>(WEXITSTATUS(wait_status)),
         EndingOf(wait_status, status_pipe_.last_line()));
}

void GuestTask::Finish(uint32_t status, Ending ending) {
  console_->Finish();
  dhcp_.clear();
  input_.reset();
  pidfd_.reset();
  waiting_tender_.reset();
  snapshots_.reset();
  paused_ = false;
  requests_.End(absl::FailedPreconditionError("the task has ended"));
  // Whoever is told may count on it, whatever becomes of the shim.
  RecordExit(status);
  SetExit(status, ending);
}

// For the `delete` of a shim that has died since.
void GuestTask::RecordExit(uint32_t status) {
  record_.exit = RecordedExit{status, absl::Now()};
  const absl::Status written = WriteTaskRecord(request().bundle(), record_);
  if (!written.ok()) {
    LogWarning(absl::StrCat("task ", record_.id, ": ", written.message()));
  }
}

absl::Status GuestTask::Destroy() {
  if (!exit()) {
    ASSIGN_OR_RETURN(const int wait_status, EndChild());
    Ended(wait_status);
  }
  absl::Status removed = RemoveTaps();
  if (cgroup_) removed = FirstError(removed, cgroup_->Remove());
  removed = FirstError(removed, RemoveImages(request().bundle()));
  RETURN_IF_ERROR(removed);
  return RemoveTaskRecord(request().bundle());
}

absl::Status GuestTask::CheckRuns() const {
  if (started_at() && !exit()) return absl::OkStatus();
  return absl::FailedPreconditionError("the task does not run");
}

absl::Status GuestTask::Pause() {
  RETURN_IF_ERROR(CheckRuns());
  if (paused_) return absl::FailedPreconditionError("the task is paused");
  // A tender that writes a snapshot is stopped when that is whole.
  if (!taking_snapshot_) RETURN_IF_ERROR(pidfd_->SendSignal(SIGSTOP));
  paused_ = true;
  return absl::OkStatus();
}

absl::Status GuestTask::Resume() {
  RETURN_IF_ERROR(CheckRuns());
  if (!paused_) return absl::FailedPreconditionError("the task is not paused");
  RETURN_IF_ERROR(pidfd_->SendSignal(SIGCONT));
  paused_ = false;
  return absl::OkStatus();
}

void GuestTask::Snapshot(const std::string& directory, OnSnapshot done) {
  absl::Status able = CheckTarget("written to a snapshot");
  if (able.ok()) able = CheckRuns();
  if (able.ok() && taking_snapshot_) {
    able = absl::FailedPreconditionError("a snapshot is being taken");
  }
  if (!able.ok()) return done(able);
  absl::StatusOr<SnapshotDirectory> made = SnapshotDirectory::Make(directory);
  if (!made.ok()) return done(made.status());
  const auto kept = std::make_shared<SnapshotDirectory>(*std::move(made));
  absl::Status asked = AskForSnapshot(kept->fd());
  if (!asked.ok()) return done(FirstError(asked, kept->Discard()));
  taking_snapshot_ = true;
  requests_.Expect("snapshot", kSnapshotTimeout,
                   [this, kept, done = std::move(done)](const auto& answer) {
                     if (absl::IsDeadlineExceeded(answer.status())) {
                       DiscardLate(kept);
                       return done(answer.status());
                     }
                     done(FinishSnapshot(*kept, answer));
                   });
}

// The tender may be writing still: what it says in the end is of this snapshot,
// not of the next.
void GuestTask::DiscardLate(std::shared_ptr<SnapshotDirectory> directory) {
  requests_.Expect(
      "snapshot", absl::InfiniteDuration(),
      [this, directory = std::move(directory)](
          const absl::StatusOr<nlohmann::json>& /*answer*/) {
        const absl::StatusOr<v1::SnapshotResponse> discarded =
            FinishSnapshot(*directory, absl::DeadlineExceededError("too late"));
        LogWarning(discarded.status().message());
      });
}

// A stopped tender writes nothing.
absl::Status GuestTask::AskForSnapshot(int directory) {
  RETURN_IF_ERROR(SendDirectory(snapshots_.get(), directory));
  RETURN_IF_ERROR(pidfd_->SendSignal(SIGUSR2));
  return paused_ ? pidfd_->SendSignal(SIGCONT) : absl::OkStatus();
}

absl::StatusOr<v1::SnapshotResponse> GuestTask::FinishSnapshot(
    const SnapshotDirectory& directory,
    const absl::StatusOr<nlohmann::json>& answer) {
  taking_snapshot_ = false;
  if (paused_ && !exit()) RETURN_IF_ERROR(pidfd_->SendSignal(SIGSTOP));
  absl::Status status = answer.status();
  if (status.ok() && answer->at("snapshot") != "done") {
    const auto message = answer->find("message");
    status = absl::InternalError(
        message != answer->end() && message->is_string()
            ? absl::StrCat("the tender: ", message->get<std::string>())
            : "the tender could not write it");
  }
  if (status.ok()) status = directory.Keep();
  if (!status.ok()) return FirstError(status, directory.Discard());
  v1::SnapshotResponse response;
  response.set_bytes(NumberIn(*answer, "bytes"));
  response.set_microseconds(NumberIn(*answer, "microseconds"));
  return response;
}

void GuestTask::Devices(OnDevices done) {
  const absl::Status runs = CheckRuns();
  if (!runs.ok()) return done(runs);
  // The tender is in the pod's network namespace, where its taps are.
  const absl::StatusOr<std::string> net_dev =
      ReadFile(absl::StrCat("/proc/", pid(), "/net/dev"), kMaxNetDev);
  if (!net_dev.ok()) return done(net_dev.status());
  v1::DevicesResponse response;
  AddNetCounters(spec_.devices, /*on_node=*/false, *net_dev, response);
  if (HasTapOnNode(spec_)) {
    const absl::Status added = InNetns(host_.node_netns, [&]() -> absl::Status {
      ASSIGN_OR_RETURN(const std::string nodes,
                       ReadFile("/proc/self/net/dev", kMaxNetDev));
      AddNetCounters(spec_.devices, /*on_node=*/true, nodes, response);
      return absl::OkStatus();
    });
    if (!added.ok()) return done(added);
  }
  if (target_ != solo5::Target::kHvt || paused_) return done(response);
  const absl::Status asked = pidfd_->SendSignal(SIGUSR1);
  if (!asked.ok()) return done(asked);
  requests_.Expect("stats", kCountersTimeout,
                   [this, response, done = std::move(done)](
                       const absl::StatusOr<nlohmann::json>& line) mutable {
                     if (!line.ok()) return done(line.status());
                     AddBlockCounters(spec_.devices, *line, response);
                     done(response);
                   });
}

const host::Cgroup* GuestTask::cgroup() const {
  return cgroup_ ? &cgroup_->cgroup() : nullptr;
}

void GuestTask::Update(const oci::Resources& resources,
                       TaskCgroup::OnDone done) {
  if (exit()) {
    return done(absl::FailedPreconditionError("the task has ended"));
  }
  const absl::Status created = CheckCreated();
  if (!created.ok()) return done(created);
  if (resources.memory_limit && resources.memory_limit != memory_limit_) {
    return done(absl::InvalidArgumentError(absl::StrCat(
        "a unikernel's memory is what it was started with: the limit stays ",
        memory_limit_ ? absl::StrCat(*memory_limit_, " bytes")
                      : std::string("unset"))));
  }
  if (!cgroup_) {
    return done(absl::FailedPreconditionError("the task has no cgroup"));
  }
  // The present memory limit has the tender's share in it.
  host::CgroupLimits limits = LimitsOf(resources);
  limits.memory_bytes.reset();
  cgroup_->Update(limits, std::move(done));
}

absl::Status GuestTask::ReopenLog() {
  if (!output_) return absl::FailedPreconditionError("the task has no log");
  return output_->Reopen();
}

task::TaskStatus GuestTask::status() const {
  const task::TaskStatus status = Task::status();
  return status == task::TASK_RUNNING && paused_ ? task::TASK_PAUSED : status;
}

}  // namespace serai::shim
