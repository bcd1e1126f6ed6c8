// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/testing/run_case.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/guests/testing/guest_process.h"

namespace serai::testing {
namespace {

// More than any of them takes, on a busy machine.
constexpr absl::Duration kPatience = absl::Seconds(20);
// How long a guest may do with its processor what it wants.
constexpr absl::Duration kFreedom = absl::Milliseconds(300);
constexpr size_t kShownOutput = 2000;

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

std::vector<std::string> Words(std::string_view text) {
  return absl::StrSplit(View(text), ' ', absl::SkipEmpty());
}

// Like GuestProcess's output, a file that needs no reader.
class StatusFile {
 public:
  StatusFile() : fd_(::memfd_create("guest-status", 0)) {}

  std::string Option() const { return absl::StrCat("--status=@", fd_.get()); }
  std::string Text() const {
    struct stat info = {};
    if (::fstat(fd_.get(), &info) != 0) return {};
    std::string text(static_cast<size_t>(info.st_size), '\0');
    const ssize_t size = ::pread(fd_.get(), text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return text;
  }

 private:
  UniqueFd fd_;  // inherited
};

// What a case with devices has. The guest inherits it all.
class Devices {
 public:
  explicit Devices(bool wanted) {
    if (!wanted) return;
    disk_ = UniqueFd(::memfd_create("guest-disk", 0));
    EXPECT_EQ(::ftruncate(disk_.get(), kDiskSize), 0);
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends),
              0);
    tap_ = UniqueFd(ends[0]);
    wire_ = UniqueFd(ends[1]);
  }

  void AddOptions(std::vector<std::string>* options) const {
    if (!disk_.valid()) return;
    options->push_back(absl::StrCat("--block:storage=@", disk_.get()));
    options->push_back(absl::StrCat("--net:service=@", tap_.get()));
    options->push_back("--net-mac:service=02:00:00:00:00:01");
    options->push_back("--net-mtu:service=1500");
  }
  void ExpectWhole() const {
    struct stat info = {};
    if (!disk_.valid()) return;
    EXPECT_EQ(::fstat(disk_.get(), &info), 0);
    EXPECT_EQ(info.st_size, kDiskSize);
  }

 private:
  static constexpr off_t kDiskSize = 1 << 20;

  UniqueFd disk_;
  UniqueFd tap_;
  UniqueFd wire_;
};

class CaseRun {
 public:
  CaseRun(const GuestCase& guest_case, std::vector<std::string> options)
      : case_(guest_case),
        devices_(guest_case.devices),
        guest_(Spec(guest_case, options, status_, devices_)) {}

  bool is_hvt() const { return case_.target == "hvt"; }

  void Expect() {
    if (case_.stopped) {
      EXPECT_TRUE(guest_.WaitForOutput(View(case_.output))) << Shown();
      guest_.Kill(SIGTERM);
    }
    const std::optional<int> status = guest_.Wait(kPatience);
    ASSERT_TRUE(status.has_value()) << "does not end; " << Shown();
    if (case_.status == kAnyStatus) {
      EXPECT_EQ(*status > 128 && *status < 255, !is_hvt()) << Shown();
    } else {
      EXPECT_EQ(*status, case_.status) << Shown();
    }
    if (!case_.output.empty()) {
      EXPECT_TRUE(absl::StrContains(guest_.Output(), View(case_.output)))
          << "expected '" << case_.output << "'; " << Shown();
    }
    if (!case_.end.empty() && is_hvt()) {
      EXPECT_TRUE(absl::StrContains(
          status_.Text(), absl::StrCat("{\"end\":\"", View(case_.end), "\"")))
          << status_.Text();
    }
    devices_.ExpectWhole();
  }

  // Whatever it does, it is the guest's end and not the tender's.
  void ExpectAnyEnd() {
    if (!guest_.Wait(kFreedom).has_value()) guest_.Kill(SIGTERM);
    const std::optional<int> status = guest_.Wait(kPatience);
    ASSERT_TRUE(status.has_value()) << "does not end; " << Shown();
    const bool by_signal = *status > 128 && *status < 255;
    EXPECT_TRUE(!by_signal || *status == kStopped) << Shown();
    EXPECT_FALSE(absl::StrContains(status_.Text(), "\"end\":\"failure\""))
        << status_.Text();
  }

 private:
  static GuestSpec Spec(const GuestCase& guest_case,
                        std::vector<std::string> options,
                        const StatusFile& status, const Devices& devices) {
    devices.AddOptions(&options);
    for (std::string& word : Words(guest_case.options)) {
      options.push_back(std::move(word));
    }
    if (guest_case.target == "hvt") options.push_back(status.Option());
    return {std::string(guest_case.guest), std::string(guest_case.target),
            std::move(options), Words(guest_case.arguments),
            guest_case.memory_mib};
  }

  std::string Shown() const {
    return absl::StrCat("output:\n", guest_.Output().substr(0, kShownOutput));
  }

  const GuestCase& case_;
  StatusFile status_;
  Devices devices_;
  GuestProcess guest_;
};

std::string Name(const GuestCase& guest_case) {
  return absl::StrCat(View(guest_case.guest), ".", View(guest_case.target), " ",
                      View(guest_case.arguments),
                      " (tender: ", View(guest_case.options), ")");
}

}  // namespace

void RunCases(std::span<const GuestCase> cases) {
  for (const GuestCase& guest_case : cases) {
    SCOPED_TRACE(Name(guest_case));
    CaseRun(guest_case, {}).Expect();
  }
}

void RunCasesAtLevel0(std::span<const GuestCase> cases) {
  for (const GuestCase& guest_case : cases) {
    if (guest_case.target != "hvt") continue;
    SCOPED_TRACE(Name(guest_case));
    CaseRun run(guest_case, {"--cpl=0"});
    if (guest_case.level0 == AtLevel0::kSame) {
      run.Expect();
    } else {
      run.ExpectAnyEnd();
    }
  }
}

}  // namespace serai::testing
