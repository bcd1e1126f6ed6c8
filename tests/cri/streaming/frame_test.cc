// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/frame.h"

#include "cri/streaming/spdy/bytes.h"
#include "tests/support/status_matchers.h"

namespace serai::cri::spdy {
namespace {

using ::testing::HasSubstr;

TEST(FrameTest, DataComesInPiecesAsItArrives) {
  const std::string frame = DataFrameHeader(5, 6, true) + "abcdef";
  FrameDecoder decoder;
  std::string data;
  bool fin = false;
  for (const char byte : frame) {
    absl::string_view one(&byte, 1);
    ASSERT_OK_AND_ASSIGN(const auto item, decoder.Next(one));
    EXPECT_TRUE(one.empty());
    const auto* piece = std::get_if<DataPiece>(&item);
    if (piece == nullptr) continue;
    EXPECT_EQ(piece->stream, 5U);
    data.append(piece->data.data(), piece->data.size());
    EXPECT_FALSE(fin);
    fin = piece->fin;
  }
  EXPECT_EQ(data, "abcdef");
  EXPECT_TRUE(fin);
}

TEST(FrameTest, ControlFramesComeWhole) {
  const std::string bytes = RstStreamFrame(9, ResetStatus::kCancel) +
                            PingFrame(3) + DataFrameHeader(1, 0, false);
  absl::string_view left = bytes;
  FrameDecoder decoder;
  ASSERT_OK_AND_ASSIGN(auto item, decoder.Next(left));
  const auto& reset = std::get<ControlFrame>(item);
  EXPECT_EQ(reset.type, static_cast<uint16_t>(FrameType::kRstStream));
  EXPECT_EQ(Read32(reset.payload), 9U);
  EXPECT_EQ(Read32(reset.payload, 4), 5U);
  ASSERT_OK_AND_ASSIGN(item, decoder.Next(left));
  EXPECT_EQ(Read32(std::get<ControlFrame>(item).payload), 3U);
  ASSERT_OK_AND_ASSIGN(item, decoder.Next(left));
  EXPECT_TRUE(std::get<DataPiece>(item).data.empty());
  ASSERT_OK_AND_ASSIGN(item, decoder.Next(left));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(item));
}

TEST(FrameTest, WhatIsTooLargeOrNoSpdyIsRefusedByItsHeader) {
  const auto refused = [](absl::string_view bytes) {
    FrameDecoder decoder;
    return std::string(decoder.Next(bytes).status().message());
  };
  std::string large;
  Append32(large, 0x80030001);
  Append32(large, kMaxControlBytes + 1);
  EXPECT_THAT(refused(large), HasSubstr("has 16385 bytes"));
  std::string old;
  Append32(old, 0x80020001);
  Append32(old, 0);
  EXPECT_THAT(refused(old), HasSubstr("not SPDY/3's"));
}

}  // namespace
}  // namespace serai::cri::spdy
