// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/snapshot/snapshot_case.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "lib/base/file.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kStatusFd = 5;
constexpr absl::Duration kPatience = absl::Seconds(20);

}  // namespace

Args Join(Args first, const Args& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TenderSpec SpecOf(const Args& args) {
  TenderSpec spec;
  spec.args = args;
  return spec;
}

Running::Running(TenderSpec spec) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  reader_.reset(ends[0]);
  const UniqueFd writer(ends[1]);
  spec.fds[kStatusFd] = writer.get();
  spec.args.insert(spec.args.begin(), "--status=@5");
  process_ = std::make_unique<TenderProcess>(spec);
}

std::string Running::Snapshot() {
  const size_t before = Count();
  process_->Kill(SIGUSR2);
  const absl::Time deadline = absl::Now() + kPatience;
  while (Count() == before && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  const size_t last = status_.rfind("{\"snapshot\":");
  return last == std::string::npos ? "" : status_.substr(last);
}

size_t Running::Count() {
  char buffer[4096];
  const ssize_t n = ::read(reader_.get(), buffer, sizeof(buffer));
  if (n > 0) status_.append(buffer, static_cast<size_t>(n));
  size_t count = 0;
  for (size_t at = 0;
       (at = status_.find("{\"snapshot\":", at)) != std::string::npos; ++at) {
    ++count;
  }
  return count;
}

void SnapshotTest::SetUp() { SERAI_NEED("kvm"); }

void SnapshotTest::TakeOfCount(const Args& options, const Args& args) {
  Running guest(SpecOf(Join(Join({"--mem=16", To()}, options),
                            Join({Guest("count.hvt"), "--lines=6"}, args))));
  ASSERT_TRUE(guest.process().WaitForOutput("count: 3\n")) << guest.Output();
  EXPECT_THAT(guest.Snapshot(), HasSubstr("{\"snapshot\":\"done\",\"bytes\":"));
  EXPECT_EQ(guest.process().Wait(), 0) << guest.Output();
  EXPECT_THAT(guest.Output(),
              AllOf(HasSubstr("SUCCESS"), Not(HasSubstr("snapshot"))));
}

void SnapshotTest::ExpectRest(const TenderResult& result) {
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("count: 6\nSUCCESS\n"),
                                   Not(HasSubstr("count: 3\n"))));
}

std::vector<std::string> SnapshotTest::Files() const {
  return ListDir(directory_.path()).value_or(std::vector<std::string>());
}

std::string SnapshotTest::Read(const std::string& name) const {
  const auto bytes = ReadFile(directory_ / name, 64 << 20);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

void SnapshotTest::Write(const std::string& name,
                         const std::string& bytes) const {
  const UniqueFd file(::open((directory_ / name).c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  EXPECT_TRUE(WriteAll(file.get(), bytes).ok());
}

}  // namespace serai::testing
