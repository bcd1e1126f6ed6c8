// SPDX-License-Identifier: Apache-2.0
// The end of an spt guest beside readers that do not read.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/tender/spt/spt_process.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

constexpr int kKernelFd = 5;
constexpr int kStatusFd = 9;
// Far more than the stub waits for both its readers.
constexpr absl::Duration kSoon = absl::Seconds(5);

// Something to write to, whose other end nobody reads.
struct Channel {
  UniqueFd read_end;
  UniqueFd write_end;
};

Channel MakeChannel(bool is_socket) {
  int ends[2];
  if (is_socket) {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  } else {
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  }
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void SetNonBlocking(int fd, bool wanted) {
  const int flags = ::fcntl(fd, F_GETFL);
  ASSERT_EQ(
      ::fcntl(fd, F_SETFL, wanted ? flags | O_NONBLOCK : flags & ~O_NONBLOCK),
      0);
}

void Fill(const Channel& channel) {
  static constexpr std::array<char, 4096> kPiece = {};
  SetNonBlocking(channel.write_end.get(), true);
  while (::write(channel.write_end.get(), kPiece.data(), kPiece.size()) > 0) {
  }
  while (::write(channel.write_end.get(), kPiece.data(), 1) > 0) {
  }
  SetNonBlocking(channel.write_end.get(), false);
}

struct UnreadCase {
  const char* name;
  std::vector<std::string> guest;
  bool stderr_is_full;
  bool status_is_full;
  int status;
  int signal = 0;  // sent once the guest runs
};

void PrintTo(const UnreadCase& one, std::ostream* out) { *out << one.name; }

const UnreadCase kUnreadCases[] = {
    {"FaultStderr", {"crash", "--how=null"}, true, false, kFault},
    {"FaultStatus", {"crash", "--how=null"}, false, true, kFault},
    {"FaultBoth", {"crash", "--how=null"}, true, true, kFault},
    {"Abort", {"crash", "--how=abort"}, true, true, 255},
    {"Forbidden",
     {"evil_syscalls", "--how=any", "--call=57"},
     true,
     true,
     kForbidden},
    {"Success", {"exit", "--status=0"}, false, true, 0},
    {"Failure", {"exit", "--status=7"}, false, true, 7},
    {"Terminated", {"spin", "--idle"}, false, true, 128 + SIGTERM, SIGTERM},
    {"Interrupted", {"spin"}, true, true, 128 + SIGINT, SIGINT},
};

enum class Around { kNothing, kShimsJail, kNoProc };

class SptUnreadTest
    : public ::testing::TestWithParam<std::tuple<UnreadCase, Around, bool>> {
 protected:
  void SetUp() override { SERAI_NEED("root"); }

  const UnreadCase& one() const { return std::get<0>(GetParam()); }

  TenderSpec Spec() {
    stderr_ = MakeChannel(std::get<2>(GetParam()));
    status_ = MakeChannel(std::get<2>(GetParam()));
    if (one().stderr_is_full) Fill(stderr_);
    if (one().status_is_full) Fill(status_);
    TenderSpec spec = SpecOf(one().guest);
    kernel_.reset(::open(spec.args[1].c_str(), O_RDONLY | O_CLOEXEC));
    spec.args[1] = absl::StrCat("@", kKernelFd);
    spec.args.insert(spec.args.begin(), absl::StrCat("--status=@", kStatusFd));
    if (std::get<1>(GetParam()) == Around::kShimsJail) {
      // As the shim has it (shim/tender_command.cc).
      spec.args.insert(spec.args.begin(), "--jail=ipc,uts,uid=65533,gid=65533");
    }
    spec.with_nothing = std::get<1>(GetParam()) == Around::kNoProc;
    spec.fds = {{kKernelFd, kernel_.get()},
                {kStatusFd, status_.write_end.get()}};
    spec.prepare = [fd = stderr_.write_end.get()] {
      return ::dup2(fd, STDERR_FILENO) == STDERR_FILENO;
    };
    return spec;
  }

 private:
  UniqueFd kernel_;
  Channel stderr_;
  Channel status_;
};

std::string NameOf(
    const ::testing::TestParamInfo<SptUnreadTest::ParamType>& info) {
  constexpr const char* kAround[] = {"", "InJail", "WithoutProc"};
  const auto& [one, around, is_socket] = info.param;
  return absl::StrCat(one.name, kAround[static_cast<int>(around)],
                      is_socket ? "Socket" : "Pipe");
}

INSTANTIATE_TEST_SUITE_P(
    All, SptUnreadTest,
    ::testing::Combine(::testing::ValuesIn(kUnreadCases),
                       ::testing::Values(Around::kNothing, Around::kShimsJail,
                                         Around::kNoProc),
                       ::testing::Bool()),
    NameOf);

TEST_P(SptUnreadTest, EndsOnTime) {
  TenderProcess tender(Spec());
  if (one().signal != 0) {
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(one().signal);
  }
  const absl::Time start = absl::Now();
  EXPECT_EQ(tender.Wait(), one().status);
  EXPECT_LT(absl::Now() - start, kSoon);
}

}  // namespace
}  // namespace serai::testing
