// SPDX-License-Identifier: Apache-2.0
#include "lib/host/systemd_scope.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/deadline.h"
#include "lib/base/subprocess.h"
#include "lib/host/cgroup_membership.h"

namespace serai::host {
namespace {

constexpr char kManager[] = "org.freedesktop.systemd1";
constexpr char kManagerObject[] = "/org/freedesktop/systemd1";
constexpr char kManagerInterface[] = "org.freedesktop.systemd1.Manager";
constexpr size_t kMaxUnitName = 255;
constexpr size_t kMaxOutput = 64 * 1024;
constexpr size_t kMaxComplaint = 300;
constexpr uint64_t kMaxCpus = 8192;
constexpr uint64_t kSecondInMicroseconds = 1'000'000;
constexpr uint64_t kDefaultPeriodUs = 100'000;
constexpr char kInfinity[] = "18446744073709551615";
constexpr absl::Duration kPollPause = absl::Milliseconds(2);

// Properties in the words that busctl takes for an a(sv).
class Properties {
 public:
  template <typename... Values>
  void Add(const char* name, const char* type, const Values&... values) {
    ++count_;
    for (const std::string& word :
         {std::string(name), std::string(type), absl::StrCat(values)...}) {
      words_.push_back(word);
    }
  }
  void AddBytes(const char* name, const std::vector<unsigned>& bytes) {
    Add(name, "ay", bytes.size());
    for (const unsigned byte : bytes) words_.push_back(absl::StrCat(byte));
  }

  bool empty() const { return count_ == 0; }

  void AppendTo(std::vector<std::string>& arguments) const {
    arguments.push_back(absl::StrCat(count_));
    arguments.insert(arguments.end(), words_.begin(), words_.end());
  }

 private:
  size_t count_ = 0;
  std::vector<std::string> words_;
};

std::string NumberOrInfinity(int64_t value) {
  return value < 0 ? kInfinity : absl::StrCat(value);
}

// "0-2,7" as a bit for each, the lowest first; empty when it is no such list.
std::vector<unsigned> BitsOf(const std::string& list) {
  std::vector<unsigned> bytes;
  for (const absl::string_view range : absl::StrSplit(list, ',')) {
    const std::vector<std::string> ends =
        absl::StrSplit(range, absl::MaxSplits('-', 1));
    uint64_t first = 0;
    uint64_t last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || last >= kMaxCpus) {
      return {};
    }
    for (uint64_t number = first; number <= last; ++number) {
      bytes.resize(std::max<size_t>(bytes.size(), number / 8 + 1));
      bytes[number / 8] |= 1U << (number % 8);
    }
  }
  return bytes;
}

// On v1 systemd knows no cpusets.
void AddCpusets(const CgroupLimits& limits, Properties& properties) {
  const std::vector<unsigned> cpus = BitsOf(limits.cpuset_cpus);
  if (!cpus.empty()) properties.AddBytes("AllowedCPUs", cpus);
  const std::vector<unsigned> nodes = BitsOf(limits.cpuset_mems);
  if (!nodes.empty()) properties.AddBytes("AllowedMemoryNodes", nodes);
}

void AddCpuQuota(const CgroupLimits& limits, Properties& properties) {
  if (!limits.cpu_quota_us) return;
  const uint64_t period =
      std::max<uint64_t>(limits.cpu_period_us.value_or(kDefaultPeriodUs), 1);
  if (*limits.cpu_quota_us < 0) {
    properties.Add("CPUQuotaPerSecUSec", "t", kInfinity);
  } else {
    // No machine has processors for more.
    const uint64_t quota = std::min(static_cast<uint64_t>(*limits.cpu_quota_us),
                                    uint64_t{1} << 40);
    properties.Add("CPUQuotaPerSecUSec", "t",
                   (quota * kSecondInMicroseconds + period - 1) / period);
  }
  if (period != kDefaultPeriodUs) {
    properties.Add("CPUQuotaPeriodUSec", "t", period);
  }
}

void AddLimits(const CgroupLimits& limits, bool is_v2, Properties& properties) {
  if (limits.memory_bytes) {
    properties.Add(is_v2 ? "MemoryMax" : "MemoryLimit", "t",
                   NumberOrInfinity(*limits.memory_bytes));
  }
  if (limits.cpu_shares) {
    if (is_v2) {
      properties.Add("CPUWeight", "t", CpuWeightOf(*limits.cpu_shares));
    } else {
      properties.Add("CPUShares", "t",
                     std::clamp<uint64_t>(*limits.cpu_shares, 2, 262144));
    }
  }
  AddCpuQuota(limits, properties);
  if (limits.pids_max) {
    properties.Add("TasksMax", "t", NumberOrInfinity(*limits.pids_max));
  }
  if (is_v2) AddCpusets(limits, properties);
}

Properties ScopeProperties(const ScopeSpec& spec, bool is_v2) {
  Properties properties;
  properties.Add("Description", "s", absl::StrCat("unikernel ", spec.unit));
  properties.Add("Slice", "s", spec.slice);
  properties.Add("PIDs", "au", 1, spec.pid);
  // The limits that systemd has no word for are written beside it.
  properties.Add("Delegate", "b", "true");
  properties.Add("DefaultDependencies", "b", "false");
  properties.Add("CollectMode", "s", "inactive-or-failed");
  properties.Add("MemoryAccounting", "b", "true");
  properties.Add("CPUAccounting", "b", "true");
  properties.Add("TasksAccounting", "b", "true");
  properties.Add(is_v2 ? "IOAccounting" : "BlockIOAccounting", "b", "true");
  AddLimits(spec.limits, is_v2, properties);
  return properties;
}

// Where the process is, if that is in the unit; else empty.
absl::StatusOr<std::string> PathInUnit(pid_t pid, const std::string& unit) {
  ASSIGN_OR_RETURN(const auto membership, CgroupMembership::Of(pid));
  const std::string end = absl::StrCat("/", unit);
  for (const char* tree : {"", "name=systemd"}) {
    std::string path = membership.PathOf(tree);
    if (absl::EndsWith(path, end)) return path;
  }
  return "";
}

absl::StatusOr<std::string> WaitUntilIn(pid_t pid, const std::string& unit,
                                        const Deadline& deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(std::string path, PathInUnit(pid, unit), "process ", pid);
    if (!path.empty()) return path;
    if (deadline.Passed()) {
      return absl::DeadlineExceededError(
          "systemd has taken the job, but not done it");
    }
    absl::SleepFor(kPollPause);
  }
}

}  // namespace

absl::Status CheckScopeName(absl::string_view unit) {
  const bool known = std::all_of(unit.begin(), unit.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains(":-_.\\", c);
  });
  if (known && unit.size() <= kMaxUnitName && absl::EndsWith(unit, ".scope") &&
      unit != ".scope") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", unit, "\" is not the name of a systemd scope"));
}

absl::StatusOr<std::string> SystemdScopes::Call(
    const std::string& method, std::vector<std::string> arguments) const {
  SubprocessSpec spec;
  spec.program = options_.busctl;
  spec.args = {
      "--system",
      absl::StrCat("--timeout=", absl::FormatDuration(options_.timeout)),
      "call",
      kManager,
      kManagerObject,
      kManagerInterface,
      method};
  std::move(arguments.begin(), arguments.end(), std::back_inserter(spec.args));
  spec.env = {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  spec.timeout = options_.timeout + absl::Seconds(1);
  spec.max_output = kMaxOutput;
  const absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  if (!result.ok()) {
    if (absl::IsDeadlineExceeded(result.status())) return result.status();
    return absl::UnavailableError(
        absl::StrCat("systemd can't be asked: ", result.status().message()));
  }
  if (result->exit_code == 0) return result->output;
  const absl::string_view complaint =
      absl::StripAsciiWhitespace(result->error_output);
  return absl::UnavailableError(absl::StrCat(
      "systemd's ", method, ": ",
      complaint.empty() ? absl::StrCat("busctl exited with ", result->exit_code)
                        : std::string(complaint.substr(0, kMaxComplaint))));
}

absl::StatusOr<std::string> SystemdScopes::Start(const ScopeSpec& spec) const {
  RETURN_IF_ERROR(CheckScopeName(spec.unit));
  const Deadline deadline(options_.timeout);
  std::vector<std::string> arguments = {"ssa(sv)a(sa(sv))", spec.unit,
                                        "replace"};
  ScopeProperties(spec, is_v2_).AppendTo(arguments);
  arguments.push_back("0");
  absl::StatusOr<std::string> job = Call("StartTransientUnit", arguments);
  if (absl::IsUnavailable(job.status())) {
    // A failed one of that name may be left of an earlier life.
    const auto reset = Call("ResetFailedUnit", {"s", spec.unit});
    if (reset.ok()) job = Call("StartTransientUnit", arguments);
  }
  RETURN_IF_ERROR(job.status());
  return WaitUntilIn(spec.pid, spec.unit, deadline);
}

absl::Status SystemdScopes::SetLimits(const std::string& unit,
                                      const CgroupLimits& limits) const {
  Properties properties;
  AddLimits(limits, is_v2_, properties);
  if (properties.empty()) return absl::OkStatus();
  // true: until the unit ends, and in no file.
  std::vector<std::string> arguments = {"sba(sv)", unit, "true"};
  properties.AppendTo(arguments);
  return Call("SetUnitProperties", std::move(arguments)).status();
}

absl::Status SystemdScopes::Stop(const std::string& unit) const {
  const absl::Status stopped =
      Call("StopUnit", {"ss", unit, "replace"}).status();
  // busctl gives systemd's sentence, not its error's name.
  if (stopped.ok() || absl::StrContains(stopped.message(), "not loaded")) {
    return absl::OkStatus();
  }
  return stopped;
}

}  // namespace serai::host
