// SPDX-License-Identifier: Apache-2.0
// The console of real guests: to FIFOs as containerd reads them, to those who
// attach, to a log that is rotated.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::BuildDir;
using ::serai::testing::HasStatus;
using ::serai::testing::PodShim;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

class StdioTest : public ::testing::Test {
 protected:
  void SetUp() override { SERAI_NEED("root"); }

  absl::Status Create(const std::string& id, const oci::RuntimeSpec& spec,
                      task::CreateTaskRequest request) {
    RETURN_IF_ERROR(MakeDirs(shim_.BundlePath(id)));
    RETURN_IF_ERROR(WriteFileAtomic(
        JoinPath(shim_.BundlePath(id), "config.json"), oci::ToJson(spec)));
    request.set_id(id);
    request.set_bundle(shim_.BundlePath(id));
    return shim_.Call<task::CreateTaskResponse>("Create", request).status();
  }

  std::string MakeFifo(const std::string& name) {
    const std::string path = shim_ / name;
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return path;
  }

  static UniqueFd OpenReader(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  // Reads to the end of the file, or until `enough` bytes came.
  static std::string ReadText(int fd, size_t enough = 1 << 30) {
    std::string text;
    const absl::Time deadline = absl::Now() + kPatience;
    while (text.size() < enough && absl::Now() < deadline) {
      std::array<char, 16 * 1024> chunk;
      pollfd poll = {fd, POLLIN, 0};
      if (::poll(&poll, 1, 100) <= 0) continue;
      const ssize_t n = ::read(fd, chunk.data(),
                               std::min(chunk.size(), enough - text.size()));
      if (n == 0) return text;
      if (n > 0) text.append(chunk.data(), static_cast<size_t>(n));
    }
    EXPECT_GE(text.size(), enough) << "no end of file came";
    return text;
  }

  absl::StatusOr<v1::AttachResponse> Attach(ttrpc::Client& client,
                                            const std::string& id,
                                            uint64_t offset) {
    v1::AttachRequest request;
    request.set_id(id);
    request.set_offset(offset);
    return ttrpc::TypedCall<v1::AttachResponse>(client, ttrpc::kControlService,
                                                "Attach", request,
                                                absl::Now() + kPatience);
  }

  size_t Descriptors() const {
    return ListDir(absl::StrCat("/proc/", shim_.pid(), "/fd"))->size();
  }

  absl::StatusOr<SubprocessResult> Serai(
      const std::vector<std::string>& args) const {
    SubprocessSpec spec;
    spec.program = BuildDir() + "/bin/serai";
    spec.args = {"shim", "--socket", shim_.socket_path()};
    spec.args.insert(spec.args.end(), args.begin(), args.end());
    return RunSubprocess(spec);
  }

  PodShim shim_;
};

TEST_F(StdioTest, AFifoGetsTheConsoleAndItsEnd) {
  task::CreateTaskRequest request;
  request.set_stdin(MakeFifo("in"));
  request.set_stdout(MakeFifo("out"));
  request.set_stderr(MakeFifo("err"));
  const UniqueFd out = OpenReader(request.stdout());
  const UniqueFd err = OpenReader(request.stderr());
  const size_t before = Descriptors();
  ASSERT_OK(Create("a", shim_.Spec("a", "hello.spt", {"x"}), request));
  // A writer is let in, and its words are read.
  const UniqueFd in(
      ::open(request.stdin().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(in.valid());
  EXPECT_EQ(::write(in.get(), "hello\n", 6), 6);
  ASSERT_OK(shim_.Start("a"));
  EXPECT_THAT(ReadText(out.get()), HasSubstr("command line: x\n"));
  EXPECT_EQ(ReadText(err.get()), "");
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  ASSERT_OK(shim_.Delete("a"));
  EXPECT_LE(Descriptors(), before);
}

TEST_F(StdioTest, ATerminalsLinesEndAsATerminalHasIt) {
  task::CreateTaskRequest request;
  request.set_stdout(MakeFifo("out"));
  request.set_stderr(shim_ / "not-made");
  request.set_terminal(true);
  const UniqueFd out = OpenReader(request.stdout());
  ASSERT_OK(Create("a", shim_.Spec("a", "hello.spt", {"x"}), request));
  ASSERT_OK(shim_.Start("a"));
  EXPECT_THAT(ReadText(out.get()), HasSubstr("command line: x\r\n"));
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
}

// A reader that is killed behind the guest's end takes what is in the pipe with
// it: this one is before.
TEST_F(StdioTest, AReaderThatIsKilledAndComesBackMissesNothing) {
  task::CreateTaskRequest request;
  request.set_stdout(MakeFifo("out"));
  UniqueFd out = OpenReader(request.stdout());
  // 650 lines fit into the pipe and what is kept beside it.
  ASSERT_OK(Create("a",
                   shim_.Spec("a", "flood.spt", {"--lines=650", "--bytes=100"}),
                   request));
  out.reset();
  ASSERT_OK(shim_.Start("a"));
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  absl::SleepFor(absl::Milliseconds(300));
  out = OpenReader(request.stdout());
  const std::string text = ReadText(out.get());
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  ASSERT_GE(lines.size(), 651U);
  int number = 1;
  for (const std::string& line : lines) {
    if (line.empty()) continue;
    if (number > 650) break;
    EXPECT_TRUE(absl::StartsWith(line, absl::StrFormat("%08d", number)))
        << line;
    ++number;
  }
  EXPECT_EQ(shim_.Info("a")->log_lines_dropped(), 0U);
}

TEST_F(StdioTest, AFifoThatNobodyReadsDoesNotStopTheGuest) {
  task::CreateTaskRequest request;
  request.set_stdout(MakeFifo("out"));
  ASSERT_OK(
      Create("a", shim_.Spec("a", "flood.spt", {"--lines=100000"}), request));
  ASSERT_OK(shim_.Start("a"));
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  const uint64_t dropped = shim_.Info("a")->log_lines_dropped();
  EXPECT_GT(dropped, 90'000U);
  // What there was room for is there, with the number of what is not.
  const UniqueFd out = OpenReader(request.stdout());
  EXPECT_THAT(ReadText(out.get()),
              HasSubstr(absl::StrCat("\nserai: ", dropped, " lines were")));
  ASSERT_OK(shim_.Delete("a"));
}

TEST_F(StdioTest, WithoutAnOutputTheGuestRunsAllTheSame) {
  ASSERT_OK(Create("a", shim_.Spec("a", "flood.spt", {"--lines=10000"}), {}));
  ASSERT_OK(shim_.Start("a"));
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  EXPECT_THAT(shim_.ReopenLog("a"),
              HasStatus(absl::StatusCode::kFailedPrecondition, "no log"));
}

TEST_F(StdioTest, AnOutputThatIsNoneIsRefusedAndNothingIsLeft) {
  task::CreateTaskRequest request;
  request.set_stdout("http://example.com/");
  EXPECT_THAT(Create("a", shim_.Spec("a", "hello.spt"), request),
              HasStatus(absl::StatusCode::kInvalidArgument, "is no output"));
  request.set_stdout("file://" + (shim_ / "out"));
  request.set_stderr(shim_ / "missing");
  EXPECT_FALSE(Create("a", shim_.Spec("a", "hello.spt"), request).ok());
  EXPECT_FALSE(PathExists(shim_ / "out"));
  EXPECT_THAT(shim_.State("a"),
              HasStatus(absl::StatusCode::kNotFound, "no task"));
}

TEST_F(StdioTest, ARotatedLogLosesNoLine) {
  constexpr int kLines = 300'000;
  constexpr int kRotations = 100;
  ASSERT_OK(shim_.Create(
      "a", shim_.Spec("a", "flood.spt", {absl::StrCat("--lines=", kLines)})));
  const std::string path = shim_.LogPath("a");
  ASSERT_OK(shim_.Start("a"));
  int rotated = 0;
  while (rotated < kRotations) {
    const std::string old = absl::StrCat(path, ".", rotated);
    ASSERT_EQ(::rename(path.c_str(), old.c_str()), 0);
    ASSERT_OK(shim_.ReopenLog("a"));
    ++rotated;
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  std::string all;
  int with_lines = 0;
  for (int i = 0; i <= rotated; ++i) {
    const std::string part =
        *ReadFile(i < rotated ? absl::StrCat(path, ".", i) : path, 1 << 28);
    if (!part.empty()) ++with_lines;
    all += part;
  }
  EXPECT_GT(with_lines, 5);
  int next = 1;
  for (const absl::string_view record : absl::StrSplit(all, '\n')) {
    const size_t text = record.find(" stdout F ");
    if (text == absl::string_view::npos) continue;
    int number = 0;
    if (!absl::SimpleAtoi(record.substr(text + 10, 8), &number)) continue;
    ASSERT_EQ(number, next) << record;
    ++next;
  }
  EXPECT_EQ(next - 1, kLines);
  EXPECT_EQ(shim_.Info("a")->log_lines_dropped(), 0U);
}

TEST_F(StdioTest, ManyAttachAndSeeTheLastLinesAndTheEnd) {
  ASSERT_OK(shim_.Create("a", shim_.Spec("a", "spin.spt", {"--idle"})));
  ASSERT_OK(shim_.Start("a"));
  ASSERT_OK_AND_ASSIGN(auto piece, Attach(shim_.client(), "a", 0));
  std::string text = piece.data();
  while (!absl::StrContains(text, "spin: idle\n")) {
    ASSERT_OK_AND_ASSIGN(piece,
                         Attach(shim_.client(), "a", piece.next_offset()));
    text += piece.data();
  }
  EXPECT_FALSE(piece.ended());
  EXPECT_EQ(piece.lost(), 0U);

  const size_t before = Descriptors();
  v1::AttachRequest request;
  request.set_id("a");
  request.set_offset(piece.next_offset());
  // Those who vanish while they wait leave nothing behind.
  for (int i = 0; i < 300; ++i) {
    const auto client = shim_.NewClient();
    client->CallAsync(ttrpc::kControlService, "Attach",
                      request.SerializeAsString(),
                      [](const absl::StatusOr<std::string>&) {});
  }
  std::vector<std::unique_ptr<ttrpc::Client>> clients;
  std::atomic<int> ended = 0;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(shim_.NewClient());
    clients.back()->CallAsync(
        ttrpc::kControlService, "Attach", request.SerializeAsString(),
        [&](absl::StatusOr<std::string> answer) {
          if (!answer.ok()) return;
          const auto response = ttrpc::ParseAnswer<v1::AttachResponse>(*answer);
          if (response.ok() && response->ended()) ++ended;
        });
  }
  EXPECT_THAT(Attach(shim_.client(), "b", 0),
              HasStatus(absl::StatusCode::kNotFound, "no task b"));
  const absl::Time deadline = absl::Now() + kPatience;
  while (Descriptors() > before + clients.size() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_LE(Descriptors(), before + clients.size());
  ASSERT_OK(shim_.Kill("a", SIGKILL));
  while (ended < 20 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(ended, 20);
  ASSERT_OK_AND_ASSIGN(piece, Attach(shim_.client(), "a", 0));
  EXPECT_EQ(piece.data(), text);
  EXPECT_TRUE(piece.ended());
}

TEST_F(StdioTest, TheCommandLineShowsTheShimsTasksAndTheirConsoles) {
  ASSERT_OK(shim_.Create("a", shim_.Spec("a", "hello.spt", {"x"})));
  ASSERT_OK(shim_.Create("b", shim_.Spec("b", "spin.spt", {"--idle"})));
  ASSERT_OK(shim_.Start("a"));
  ASSERT_OK(shim_.Start("b"));
  EXPECT_EQ(shim_.Wait("a").value_or(99), 0U);
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, Serai({"attach", "a"}));
  EXPECT_EQ(result.exit_code, 0) << result.error_output;
  EXPECT_THAT(result.output, HasSubstr("command line: x\n"));
  ASSERT_OK_AND_ASSIGN(result, Serai({"state"}));
  EXPECT_EQ(result.exit_code, 0) << result.error_output;
  EXPECT_THAT(result.output, HasSubstr("stopped   spt      exit"));
  EXPECT_THAT(result.output, HasSubstr("running   spt"));
  ASSERT_OK_AND_ASSIGN(result, Serai({"state", "-o", "json"}));
  EXPECT_THAT(result.output, HasSubstr("\"status\": \"running\""));
  ASSERT_OK_AND_ASSIGN(result, Serai({"attach", "c"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error_output, HasSubstr("there is no task c"));
}

}  // namespace
}  // namespace serai::shim
