// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/frame.h"

#include <string>

#include "lib/ttrpc/envelope.h"
#include "tests/support/status_matchers.h"

namespace serai::ttrpc {
namespace {

using ::serai::testing::HasStatus;

TEST(FrameTest, TheHeaderIsTenBytesBigEndian) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       EncodeFrame(0x01020305, FrameType::kResponse, "data"));
  EXPECT_EQ(bytes, std::string("\0\0\0\4\1\2\3\5\2\0data", 14));
}

TEST(FrameTest, ATooLongMessageIsNotEncoded) {
  EXPECT_OK(
      EncodeFrame(1, FrameType::kRequest, std::string(kMaxDataBytes, 'x')));
  EXPECT_THAT(
      EncodeFrame(1, FrameType::kRequest, std::string(kMaxDataBytes + 1, 'x')),
      HasStatus(absl::StatusCode::kResourceExhausted, "4194305"));
}

TEST(FrameDecoderTest, FramesComeWholeHoweverTheBytesCome) {
  const std::string bytes = *EncodeFrame(1, FrameType::kRequest, "first") +
                            *EncodeFrame(3, FrameType::kRequest, "") +
                            *EncodeFrame(5, FrameType::kData, "third");
  FrameDecoder decoder;
  std::string seen;
  for (const char byte : bytes) {
    decoder.Append(absl::string_view(&byte, 1));
    Frame frame;
    ASSERT_OK_AND_ASSIGN(const bool complete, decoder.Next(frame));
    if (complete) seen += std::to_string(frame.stream) + frame.data + ";";
  }
  EXPECT_EQ(seen, "1first;3;5third;");
  EXPECT_EQ(decoder.buffered(), 0U);
}

TEST(FrameDecoderTest, WhatIsNoFrameIsRefusedWithoutWaitingForItsData) {
  const std::string cases[] = {
      std::string("\0\x40\0\1\0\0\0\1\1\0", 10),  // over 4 MiB
      std::string("\xff\xff\xff\xff\0\0\0\1\1\0", 10),
      std::string("\0\0\0\0\0\0\0\1\0\0", 10),  // type 0
      std::string("\0\0\0\0\0\0\0\1\4\0", 10)};
  for (const std::string& bytes : cases) {
    FrameDecoder decoder;
    decoder.Append(bytes);
    Frame frame;
    EXPECT_THAT(decoder.Next(frame),
                HasStatus(absl::StatusCode::kInvalidArgument, "ttrpc frame"));
  }
}

TEST(EnvelopeTest, RequestsAndAnswersSurviveTheWire) {
  ASSERT_OK_AND_ASSIGN(
      const Call call,
      DecodeRequest(EncodeRequest("s.S", "M", "bytes", absl::Seconds(1))));
  EXPECT_EQ(call.service, "s.S");
  EXPECT_EQ(call.method, "M");
  EXPECT_EQ(call.request, "bytes");
  EXPECT_EQ(DecodeResponse(EncodeResponse(std::string("x"))).value_or(""), "x");
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    EXPECT_EQ(DecodeResponse(EncodeResponse(status)).status(), status);
  }
}

TEST(EnvelopeTest, RubbishIsAnError) {
  EXPECT_THAT(DecodeRequest("\xff\xff"),
              HasStatus(absl::StatusCode::kInvalidArgument, "malformed"));
  EXPECT_THAT(DecodeResponse("\xff\xff"),
              HasStatus(absl::StatusCode::kInternal, "malformed"));
  // A status with code 77 and message "x".
  EXPECT_THAT(DecodeResponse("\x0a\x05\x08\x4d\x12\x01x"),
              HasStatus(absl::StatusCode::kUnknown, "x"));
}

}  // namespace
}  // namespace serai::ttrpc
