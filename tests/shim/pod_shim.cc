// SPDX-License-Identifier: Apache-2.0
#include "tests/shim/pod_shim.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/cgroup.h"
#include "proto/task/metrics_v1.pb.h"
#include "proto/task/metrics_v2.pb.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

constexpr size_t kMaxLog = 256 << 20;
constexpr absl::Duration kPatience = absl::Seconds(10);

std::string Unique() {
  static std::atomic<int> count = 0;
  return absl::StrCat("serai-test-", ::getpid(), "-", ++count);
}

}  // namespace

PodShim::PodShim(std::string tender)
    : tender_(tender.empty() ? BuildDir() + "/bin/serai-tender"
                             : std::move(tender)),
      unique_(Unique()) {
  const absl::StatusOr<std::string> address = Command("start");
  EXPECT_OK(address);
  if (!address.ok()) return;
  address_ = *address;
  socket_path_ = std::string(absl::StripPrefix(address_, "unix://"));
  client_ = NewClient();
  if (client_ == nullptr) return;
  const auto connected =
      Call<task::ConnectResponse>("Connect", task::ConnectRequest());
  EXPECT_OK(connected);
  if (!connected.ok()) return;
  pid_ = static_cast<pid_t>(connected->shim_pid());
  auto process = host::Pidfd::Open(pid_);
  EXPECT_OK(process);
  if (process.ok()) {
    process_ = std::make_unique<host::Pidfd>(*std::move(process));
  }
}

PodShim::~PodShim() {
  if (process_ != nullptr && !*process_->Wait(absl::ZeroDuration())) {
    if (!Shutdown(true).ok() || !Ended()) KillShim();
  }
  if (::geteuid() != 0) return;
  const auto hierarchy = host::CgroupHierarchy::Detect();
  if (!hierarchy.ok()) return;
  const auto parent = host::Cgroup::Open(*hierarchy, "/" + unique_);
  EXPECT_OK(parent);
  if (parent.ok()) {
    EXPECT_OK(parent->KillAll());
    EXPECT_OK(parent->Remove());
  }
}

absl::StatusOr<std::string> PodShim::Command(const std::string& command,
                                             const std::string& directory) {
  SubprocessSpec spec;
  spec.program = BuildDir() + "/bin/containerd-shim-serai-v2";
  spec.args = {"-namespace", "test", "-address", "",     "-publish-binary",
               "/none",      "-id",  "pod",      command};
  spec.env = {absl::StrCat("SERAI_TENDER=", tender_),
              absl::StrCat("SERAI_SHIM_SOCKET_DIR=", dir_ / "s")};
  spec.directory = directory.empty() ? dir_.path() : directory;
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
  if (result.exit_code != 0) return absl::UnknownError(result.error_output);
  return result.output;
}

std::unique_ptr<ttrpc::Client> PodShim::NewClient() {
  auto client = ttrpc::Client::Connect(address_);
  EXPECT_OK(client);
  return client.ok() ? *std::move(client) : nullptr;
}

std::string PodShim::CgroupPath(const std::string& id) const {
  return absl::StrCat("/", unique_, "/", id);
}

oci::RuntimeSpec PodShim::Spec(const std::string& id, const std::string& guest,
                               const std::vector<std::string>& args) {
  oci::RuntimeSpec spec;
  spec.root_path = BuildDir() + "/guests";
  spec.args = {"/" + guest};
  spec.args.insert(spec.args.end(), args.begin(), args.end());
  spec.guest_memory = 16 << 20;
  if (::geteuid() == 0) spec.cgroups_path = CgroupPath(id);
  return spec;
}

std::string PodShim::BundlePath(const std::string& id) const {
  return dir_ / ("bundle-" + id);
}

std::string PodShim::LogPath(const std::string& id) const {
  return dir_ / (id + ".log");
}

absl::Status PodShim::Create(const std::string& id,
                             const oci::RuntimeSpec& spec) {
  RETURN_IF_ERROR(WriteBundle(id, spec));
  return CreateFromBundle(id);
}

absl::Status PodShim::WriteBundle(const std::string& id,
                                  const oci::RuntimeSpec& spec) {
  RETURN_IF_ERROR(MakeDirs(BundlePath(id)));
  return WriteFileAtomic(JoinPath(BundlePath(id), "config.json"),
                         oci::ToJson(spec));
}

absl::Status PodShim::CreateFromBundle(const std::string& id,
                                       const std::string& checkpoint) {
  task::CreateTaskRequest request;
  request.set_id(id);
  request.set_bundle(BundlePath(id));
  request.set_stdout("cri://" + LogPath(id));
  request.set_checkpoint(checkpoint);
  return Call<task::CreateTaskResponse>("Create", request).status();
}

absl::Status PodShim::Start(const std::string& id) {
  task::StartRequest request;
  request.set_id(id);
  return Call<task::StartResponse>("Start", request).status();
}

absl::Status PodShim::Kill(const std::string& id, uint32_t signal_number) {
  task::KillRequest request;
  request.set_id(id);
  request.set_signal(signal_number);
  return Call<wire::Empty>("Kill", request).status();
}

absl::StatusOr<uint32_t> PodShim::Wait(const std::string& id) {
  task::WaitRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const auto response,
                   Call<task::WaitResponse>("Wait", request));
  return response.exit_status();
}

absl::StatusOr<task::StateResponse> PodShim::State(const std::string& id) {
  task::StateRequest request;
  request.set_id(id);
  return Call<task::StateResponse>("State", request);
}

absl::StatusOr<task::DeleteResponse> PodShim::Delete(const std::string& id) {
  task::DeleteRequest request;
  request.set_id(id);
  return Call<task::DeleteResponse>("Delete", request);
}

absl::StatusOr<shim::v1::InfoResponse> PodShim::Info(const std::string& id) {
  shim::v1::InfoRequest request;
  request.set_id(id);
  return Call<shim::v1::InfoResponse>("Info", request, ttrpc::kControlService);
}

absl::StatusOr<TaskStats> PodShim::Stats(const std::string& id) {
  task::StatsRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const auto response,
                   Call<task::StatsResponse>("Stats", request));
  const std::string& bytes = response.stats().value();
  if (response.stats().type_url() == "io.containerd.cgroups.v1.Metrics") {
    ASSIGN_OR_RETURN(const auto v1,
                     ttrpc::ParseAnswer<metrics::v1::Metrics>(bytes));
    const uint64_t usage = v1.memory().usage().usage();
    return TaskStats{v1.cpu().usage().total(), usage,
                     usage - v1.memory().total_inactive_file(),
                     v1.memory().usage().limit(), v1.pids().current()};
  }
  EXPECT_EQ(response.stats().type_url(), "io.containerd.cgroups.v2.Metrics");
  ASSIGN_OR_RETURN(const auto v2,
                   ttrpc::ParseAnswer<metrics::v2::Metrics>(bytes));
  const uint64_t usage = v2.memory().usage();
  return TaskStats{v2.cpu().usage_usec() * 1000, usage,
                   usage - v2.memory().inactive_file(),
                   v2.memory().usage_limit(), v2.pids().current()};
}

absl::Status PodShim::Update(const std::string& id,
                             const std::string& resources) {
  task::UpdateTaskRequest request;
  request.set_id(id);
  request.mutable_resources()->set_type_url(
      "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources");
  request.mutable_resources()->set_value(resources);
  return Call<wire::Empty>("Update", request).status();
}

absl::Status PodShim::ReopenLog(const std::string& id) {
  shim::v1::ReopenLogRequest request;
  request.set_id(id);
  return Call<wire::Empty>("ReopenLog", request, ttrpc::kControlService)
      .status();
}

absl::Status PodShim::Shutdown(bool now) {
  task::ShutdownRequest request;
  request.set_now(now);
  return Call<wire::Empty>("Shutdown", request).status();
}

std::string PodShim::LogText(const std::string& id, const std::string& stream) {
  const auto log = ReadFile(LogPath(id), kMaxLog);
  if (!log.ok()) return "";
  std::string text;
  for (const absl::string_view record : absl::StrSplit(*log, '\n')) {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(record, absl::MaxSplits(' ', 3));
    if (parts.size() != 4 || parts[1] != stream) continue;
    absl::StrAppend(&text, parts[3], parts[2] == "F" ? "\n" : "");
  }
  return text;
}

bool PodShim::WaitForLog(const std::string& id, absl::string_view text) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    if (absl::StrContains(LogText(id, "stdout"), text)) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

void PodShim::KillShim() {
  process_->SendSignal(SIGKILL).IgnoreError();
  EXPECT_TRUE(Ended());
}

bool PodShim::Ended() {
  const auto ended = process_->Wait(kPatience);
  return ended.ok() && *ended;
}

}  // namespace serai::testing
