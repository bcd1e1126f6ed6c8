// SPDX-License-Identifier: Apache-2.0
#include "cri/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using ::testing::EndsWith;

// What `write` logs.
template <typename Write>
std::string Logged(const char* format, const Write& write) {
  SetUpLog("info", format);
  ::testing::internal::CaptureStderr();
  write();
  spdlog::default_logger_raw()->flush();
  return ::testing::internal::GetCapturedStderr();
}

// Whoever names an image must not write lines of their own.
TEST(LogTest, AnEntryIsOneLineWhateverIsInItsMessageAndFields) {
  const std::string text = Logged("text", [] {
    const LogScope scope;
    NoteForLog(LogField::kImage, "a\n2026-01-01 warning b\x1b[2J");
    NoteForLog(LogField::kPodName, "ns/c\rd");
    spdlog::info("one\ntwo\x7f");
  });
  EXPECT_THAT(text, EndsWith(" info one two  pod_name=ns/c d "
                             "image=a 2026-01-01 warning b [2J\n"));
  const std::string json = Logged("json", [] {
    const LogScope scope;
    NoteForLog(LogField::kImage, "a\nb");
    spdlog::info("one");
  });
  EXPECT_THAT(json, EndsWith(R"("image":"a\nb"})"
                             "\n"));
}

}  // namespace
}  // namespace serai::cri
