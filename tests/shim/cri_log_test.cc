// SPDX-License-Identifier: Apache-2.0
#include "shim/cri_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "tests/shim/full_disk.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::FullDisk;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::MatchesRegex;
using ::testing::SizeIs;

class CriLogTest : public ::testing::Test {
 protected:
  CriLogTest() : path_(dir_ / "0.log"), log_(*CriLog::Open(path_)) {}

  // The records of the file at `path`, without their time.
  static std::vector<std::string> RecordsOf(const std::string& path) {
    std::vector<std::string> records =
        absl::StrSplit(*ReadFile(path, 1 << 20), '\n');
    EXPECT_EQ(records.back(), "");
    records.pop_back();
    for (std::string& record : records) record.erase(0, record.find(' ') + 1);
    return records;
  }
  std::vector<std::string> Records() { return RecordsOf(path_); }

  TempDir dir_;
  const std::string path_;
  std::unique_ptr<CriLog> log_;
};

TEST_F(CriLogTest, ALineIsARecordWithTimeStreamAndTag) {
  log_->Append(LogStream::kStdout, "hello\n");
  EXPECT_THAT(*ReadFile(path_, 1000),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:"
                           "[0-9]{2}\\.[0-9]{9}Z stdout F hello\n"));
}

TEST_F(CriLogTest, LinesAreJoinedFromPiecesByStream) {
  log_->Append(LogStream::kStdout, "one\n\ntw");
  log_->Append(LogStream::kStderr, "err");
  log_->Append(LogStream::kStdout, "o\nthr");
  log_->Append(LogStream::kStderr, "or\n");
  EXPECT_THAT(Records(), ElementsAre("stdout F one", "stdout F ",
                                     "stdout F two", "stderr F error"));
  log_->Finish();
  EXPECT_EQ(Records().back(), "stdout P thr");
  log_->Finish();
  EXPECT_THAT(Records(), SizeIs(5));
}

TEST_F(CriLogTest, ALongLineIsSplitAt16KiB) {
  const std::string full(CriLog::kMaxText, 'x');
  log_->Append(LogStream::kStdout, full + "\n");
  EXPECT_THAT(Records(), ElementsAre("stdout F " + full));
  log_->Append(LogStream::kStdout, full + "yy");
  log_->Append(LogStream::kStdout, "zz\n");
  EXPECT_THAT(Records(), ElementsAre("stdout F " + full, "stdout P " + full,
                                     "stdout F yyzz"));
}

TEST_F(CriLogTest, AppendsToWhatIsThere) {
  log_->Append(LogStream::kStdout, "a\n");
  log_ = *CriLog::Open(path_);
  EXPECT_FALSE(log_->made_file());
  log_->Append(LogStream::kStdout, "b\n");
  EXPECT_THAT(Records(), ElementsAre("stdout F a", "stdout F b"));
}

TEST_F(CriLogTest, ReopenGoesOnInANewFile) {
  log_->Append(LogStream::kStdout, "a\nhalf");
  ASSERT_EQ(::rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  ASSERT_OK(log_->Reopen());
  log_->Append(LogStream::kStdout, " whole\n");
  EXPECT_THAT(RecordsOf(path_ + ".1"), ElementsAre("stdout F a"));
  EXPECT_THAT(Records(), ElementsAre("stdout F half whole"));
}

TEST_F(CriLogTest, AFailedReopenChangesNothing) {
  ASSERT_EQ(::rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(log_->Reopen().ok());
  log_->Append(LogStream::kStdout, "a\n");
  EXPECT_THAT(RecordsOf(path_ + ".1"), ElementsAre("stdout F a"));
}

TEST_F(CriLogTest, OnlyARegularFileIsALog) {
  EXPECT_THAT(CriLog::Open("/dev/zero").status(),
              HasStatus(absl::StatusCode::kInvalidArgument, "regular"));
  EXPECT_THAT(CriLog::Open(dir_ / "no/0.log").status(),
              HasStatus(absl::StatusCode::kNotFound, "no/0.log"));
}

TEST_F(CriLogTest, AFullDiskCostsLinesButNoRecordIsCutAndTheLossIsSaid) {
  log_->Append(LogStream::kStdout, "first\n");
  {
    const FullDisk full(130);
    log_->Append(LogStream::kStdout, "second\nthird\nfourth\n");
    EXPECT_THAT(Records(), ElementsAre("stdout F first", "stdout F second"));
    log_->Append(LogStream::kStdout, "fifth\n");
    EXPECT_EQ(log_->dropped(), 3U);
  }
  log_->Append(LogStream::kStdout, "sixth\n");
  const std::vector<std::string> records = Records();
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_TRUE(absl::StrContains(records[2], "serai: 3 log lines were lost"));
  EXPECT_EQ(records[3], "stdout F sixth");
  EXPECT_EQ(log_->dropped(), 3U);
}

}  // namespace
}  // namespace serai::shim
