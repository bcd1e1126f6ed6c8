// SPDX-License-Identifier: Apache-2.0
#include "tender/console.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace serai::tender {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kBuffer = 8192;

class ConsoleTest : public ::testing::Test {
 protected:
  void SetUp() override { ::signal(SIGPIPE, SIG_IGN); }

  void MakePipe(int flags = 0) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
    ASSERT_EQ(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK), 0);
    // One page is all that the pipe takes.
    ASSERT_GT(::fcntl(writer_.get(), F_SETPIPE_SZ, 4096), 0);
    ASSERT_EQ(::fcntl(writer_.get(), F_SETFL, flags), 0);
    Open(writer_.get());
  }
  void Open(int fd) {
    console_ = std::make_unique<Console>(fd, buffer_, &counters_);
  }
  void Write(const std::string& text) {
    console_->Write(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
  // What there is to be read now.
  std::string Read() {
    std::string text;
    char piece[4096];
    ssize_t n = 0;
    while ((n = ::read(reader_.get(), piece, sizeof(piece))) > 0) {
      text.append(piece, static_cast<size_t>(n));
    }
    return text;
  }
  // What comes until nothing is left in the buffer.
  std::string ReadAll() {
    std::string text;
    do {
      text += Read();
      console_->Drain();
    } while (console_->is_pending());
    return text + Read();
  }

  std::array<uint8_t, kBuffer> buffer_ = {};
  Counters counters_;
  UniqueFd reader_;
  UniqueFd writer_;
  std::unique_ptr<Console> console_;
};

TEST_F(ConsoleTest, WritesAtOnceWhereThereIsRoom) {
  MakePipe();
  Write("one\n");
  EXPECT_FALSE(console_->is_pending());
  EXPECT_EQ(Read(), "one\n");
  EXPECT_EQ(counters_.console_bytes, 4u);
  EXPECT_EQ(counters_.console_lost, 0u);
}

TEST_F(ConsoleTest, LeavesTheSharedDescriptionBlocking) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  reader_.reset(ends[0]);
  writer_.reset(ends[1]);
  const UniqueFd shared(::dup(writer_.get()));
  Open(writer_.get());
  EXPECT_EQ(::fcntl(shared.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(ConsoleTest, KeepsWhatTheReaderIsSlowToTake) {
  for (const int flags : {0, O_NONBLOCK}) {
    MakePipe(flags);
    std::string all;
    for (int i = 0; all.size() < kBuffer; ++i) {
      const std::string line = absl::StrCat("line ", i, "\n");
      Write(line);
      all += line;
    }
    EXPECT_TRUE(console_->is_pending());
    EXPECT_EQ(ReadAll(), all);
    EXPECT_EQ(counters_.console_lost, 0u);
  }
}

TEST_F(ConsoleTest, DropsWhenNobodyReadsAndSaysSo) {
  MakePipe();
  const absl::Time start = absl::Now();
  const std::string line(99, 'x');
  for (int i = 0; i < 1000; ++i) Write(line + "\n");
  // It has waited once.
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_EQ(counters_.console_bytes, 100'000u);
  const uint64_t lost = counters_.console_lost;
  EXPECT_GT(lost, 100'000u - 2 * 4096 - kBuffer);
  const std::string before = ReadAll();
  Write("again\n");
  // The notice starts a line although the text before it was cut in one.
  const std::string notice =
      absl::StrCat("\n[serai: ", lost, " bytes of console output lost]\n");
  const std::string text = before + ReadAll();
  EXPECT_EQ(text.size(), 100'000 - lost + notice.size() + 6);
  EXPECT_TRUE(absl::EndsWith(text, notice + "again\n")) << text;
  Write("more\n");
  EXPECT_EQ(Read(), "more\n");
}

TEST_F(ConsoleTest, TellsOfALossInFrontOfWhatFollows) {
  MakePipe();
  Write(std::string(4096 + kBuffer, '\n'));
  Write("lost");
  EXPECT_EQ(counters_.console_lost, 4u);
  ReadAll();
  Write("next");
  EXPECT_EQ(ReadAll(), "next");
  MakePipe();
  Write(std::string(4096 + kBuffer, '\n') + "gone");
  std::string text = Read();
  Write("still lost while the buffer is not empty");
  text += ReadAll();
  EXPECT_TRUE(
      absl::EndsWith(text, "\n\n[serai: 44 bytes of console output lost]\n"))
      << text.substr(text.size() - 100);
}

TEST_F(ConsoleTest, WaitsForAReaderThatIsAlive) {
  MakePipe();
  std::string text;
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      text += Read();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    text += Read();
  });
  std::string all;
  for (int i = 0; i < 20; ++i) {
    const std::string piece(4096, static_cast<char>('a' + i));
    Write(piece);
    all += piece;
  }
  console_->Finish();
  done = true;
  reader.join();
  EXPECT_EQ(counters_.console_lost, 0u);
  EXPECT_EQ(text, all);
}

TEST_F(ConsoleTest, FinishGivesUpOnAReaderThatIsNot) {
  MakePipe();
  Write(std::string(5000, 'x'));
  const absl::Time start = absl::Now();
  console_->Finish();
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(900));
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
  EXPECT_EQ(counters_.console_lost, 5000u - 4096);
  // One that is known to be stalled is not waited for.
  Write(std::string(4096 + 2 * kBuffer, 'x'));
  const absl::Time again = absl::Now();
  console_->Finish();
  EXPECT_LT(absl::Now() - again, absl::Milliseconds(500));
}

TEST_F(ConsoleTest, OutlivesItsReader) {
  MakePipe();
  Write(std::string(5000, 'x'));
  reader_.reset();
  Write("nobody reads this\n");
  EXPECT_FALSE(console_->is_pending());
  EXPECT_EQ(counters_.console_lost, 5000u - 4096 + 18);
  console_->Finish();
}

TEST_F(ConsoleTest, CountsWhatAFullDeviceRefuses) {
  writer_.reset(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  Open(writer_.get());
  Write("one\n");
  Write("two\n");
  EXPECT_EQ(counters_.console_lost, 8u);
  EXPECT_FALSE(console_->is_pending());
}

TEST_F(ConsoleTest, CountsWhatAClosedDescriptorRefuses) {
  MakePipe();
  const int closed = writer_.release();
  ::close(closed);
  Open(closed);
  Write("one\n");
  console_->Finish();
  EXPECT_EQ(counters_.console_lost, 4u);
}

TEST_F(ConsoleTest, TellsOfALossOnceAFullDiskHasRoomAgain) {
  char path[] = "/tmp/serai-console.XXXXXX";
  const UniqueFd file(::mkostemp(path, O_CLOEXEC));
  ::unlink(path);
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const UniqueFd place(::dup(full.get()));
  Open(place.get());
  Write("lost\n");
  ASSERT_EQ(::dup2(file.get(), place.get()), place.get());
  Write("kept\n");
  char text[100];
  const ssize_t n = ::pread(file.get(), text, sizeof(text), 0);
  EXPECT_EQ(std::string(text, static_cast<size_t>(std::max<ssize_t>(n, 0))),
            "[serai: 5 bytes of console output lost]\nkept\n");
}

TEST_F(ConsoleTest, WritesToASocketWithoutBlocking) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  reader_.reset(ends[0]);
  writer_.reset(ends[1]);
  ASSERT_EQ(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK), 0);
  Open(writer_.get());
  // More than any socket buffer.
  for (int i = 0; i < 100; ++i) Write(std::string(65536, 'x'));
  EXPECT_GT(counters_.console_lost, 0u);
  EXPECT_THAT(ReadAll(), HasSubstr("bytes of console output lost]\n"));
}

class ConsoleTerminalTest : public ConsoleTest {
 protected:
  void SetUp() override {
    ConsoleTest::SetUp();
    int master = -1;
    int terminal = -1;
    ASSERT_EQ(::openpty(&master, &terminal, nullptr, nullptr, nullptr), 0);
    reader_.reset(master);
    writer_.reset(terminal);
    ASSERT_EQ(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK), 0);
    Open(writer_.get());
  }
};

TEST_F(ConsoleTerminalTest, WritesToATerminal) {
  Write("hello\n");
  EXPECT_EQ(Read(), "hello\r\n");
}

TEST_F(ConsoleTerminalTest, IsNotHeldUpByATerminalThatIsStopped) {
  ASSERT_EQ(::tcflow(writer_.get(), TCOOFF), 0);
  Write("while stopped\n");
  EXPECT_TRUE(console_->is_pending());
  const absl::Time start = absl::Now();
  for (int i = 0; i < 100; ++i) Write(std::string(1000, 'x'));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_GT(counters_.console_lost, 0u);
  ASSERT_EQ(::tcflow(writer_.get(), TCOON), 0);
  EXPECT_THAT(ReadAll(), HasSubstr("bytes of console output lost]\r\n"));
}

TEST_F(ConsoleTerminalTest, IsNotHeldUpByATerminalThatIsNotRead) {
  const absl::Time start = absl::Now();
  for (int i = 0; i < 200; ++i) Write(std::string(1000, 'x'));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_GT(counters_.console_lost, 0u);
}

TEST(StandardDescriptorsTest, AreHeldWhereTheyAreClosed) {
  ASSERT_EXIT(
      {
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
        HoldStandardDescriptors();
        const int next = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        const bool held = next > STDERR_FILENO;
        ::_exit(held && ::write(STDOUT_FILENO, "x", 1) < 0 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace serai::tender
