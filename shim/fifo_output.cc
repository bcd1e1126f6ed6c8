// SPDX-License-Identifier: Apache-2.0
#include "shim/fifo_output.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/file.h"

namespace serai::shim {
namespace {

// A tenth of a second for one whose reader is away.
constexpr int kReaderTries = 50;
constexpr absl::Duration kReaderPause = absl::Milliseconds(2);

// Whoever made the FIFO opens it for reading at about this time; should the
// task be over before, it might give up reading. The result, where there is a
// reader, stays open until there is another writer: else that reader would see
// the end.
UniqueFd AwaitReader(const std::string& path) {
  for (int i = 0; i < kReaderTries; ++i) {
    UniqueFd writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (writer.valid() || errno != ENXIO) return writer;
    absl::SleepFor(kReaderPause);
  }
  return UniqueFd();
}

}  // namespace

// Opened for both directions, which waits for nobody; then for writing only, at
// the descriptor: the path may be another's by then.
absl::StatusOr<std::unique_ptr<OutputSink>> FifoOutput::Open(
    EventLoop& loop, const std::string& path, bool terminal) {
  const UniqueFd first = AwaitReader(path);
  ASSIGN_OR_RETURN(UniqueFd hold, OpenFile(path, O_RDWR | O_NONBLOCK));
  struct stat st = {};
  if (::fstat(hold.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISFIFO(st.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no FIFO"));
  }
  ASSIGN_OR_RETURN(UniqueFd write_end,
                   OpenFile(absl::StrCat("/proc/self/fd/", hold.get()),
                            O_WRONLY | O_NONBLOCK));
  return std::unique_ptr<OutputSink>(
      new FifoOutput(loop, std::move(write_end), std::move(hold), terminal));
}

void FifoOutput::Append(LogStream, absl::string_view bytes) {
  if (!terminal_) return writer_.Append(bytes);
  const std::string text = absl::StrReplaceAll(bytes, {{"\n", "\r\n"}});
  writer_.Append(text);
}

void FifoOutput::Finish() {
  hold_.reset();
  writer_.Finish();
}

absl::Status FifoOutput::Reopen() {
  return absl::FailedPreconditionError("the task's output is no log file");
}

}  // namespace serai::shim
