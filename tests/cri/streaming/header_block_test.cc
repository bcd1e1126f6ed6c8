// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/header_block.h"

#include <zlib.h>

#include "absl/strings/escaping.h"
#include "cri/streaming/spdy/bytes.h"
#include "cri/streaming/spdy/dictionary.h"
#include "tests/support/status_matchers.h"

namespace serai::cri::spdy {
namespace {

using ::testing::HasSubstr;

std::string MessageOf(const absl::StatusOr<Headers>& result) {
  return std::string(result.status().message());
}

// A block as another program's zlib makes it.
std::string Deflate(const std::string& block, const std::string& dictionary) {
  std::string input = block;
  std::string out(block.size() + 1024, '\0');
  z_stream stream = {};
  deflateInit(&stream, Z_BEST_COMPRESSION);
  if (!dictionary.empty()) {
    deflateSetDictionary(&stream,
                         reinterpret_cast<const Bytef*>(dictionary.data()),
                         static_cast<uInt>(dictionary.size()));
  }
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_SYNC_FLUSH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

TEST(DictionaryTest, ItIsTheOneThatTheWorldHas) {
  const std::string& dictionary = Dictionary();
  EXPECT_EQ(dictionary.size(), 1423U);
  EXPECT_EQ(adler32(adler32(0, nullptr, 0),
                    reinterpret_cast<const Bytef*>(dictionary.data()),
                    static_cast<uInt>(dictionary.size())),
            kDictionaryId);
}

TEST(HeaderBlockTest, BlocksOfASessionComeBackAsTheyWere) {
  HeaderEncoder encoder;
  HeaderDecoder decoder;
  for (int i = 0; i < 100; ++i) {
    const Headers headers = {{"streamtype", i % 2 == 0 ? "data" : "error"},
                             {"port", "8080"},
                             {"requestid", absl::StrCat(i)}};
    ASSERT_OK_AND_ASSIGN(const Headers decoded,
                         decoder.Decode(encoder.Encode(headers)));
    EXPECT_EQ(decoded, headers);
  }
  ASSERT_OK_AND_ASSIGN(const Headers none, decoder.Decode(encoder.Encode({})));
  EXPECT_TRUE(none.empty());
}

TEST(HeaderBlockTest, AnotherProgramsBlockIsUnderstood) {
  const Headers headers = {{"streamtype", "stdout"}, {"x", std::string(3, 0)}};
  HeaderDecoder decoder;
  ASSERT_OK_AND_ASSIGN(
      const Headers decoded,
      decoder.Decode(Deflate(BuildHeaderBlock(headers), Dictionary())));
  EXPECT_EQ(decoded, headers);
  EXPECT_EQ(HeaderValue(decoded, "streamtype"), "stdout");
  EXPECT_EQ(HeaderValue(decoded, "port"), "");
}

TEST(HeaderBlockTest, ABombIsLeftPacked) {
  Headers headers = {{"a", std::string(1 << 20, 'x')}};
  HeaderDecoder decoder;
  const auto bomb =
      decoder.Decode(Deflate(BuildHeaderBlock(headers), Dictionary()));
  EXPECT_THAT(MessageOf(bomb), HasSubstr("larger than 16384 bytes"));
  // Its stream is cut off in the middle.
  HeaderEncoder encoder;
  EXPECT_THAT(MessageOf(decoder.Decode(encoder.Encode({}))),
              HasSubstr("comes after one that is none"));
}

TEST(HeaderBlockTest, WhatIsNoBlockIsSaid) {
  const auto refused = [](const std::string& compressed) {
    HeaderDecoder decoder;
    return MessageOf(decoder.Decode(compressed));
  };
  EXPECT_THAT(refused(""), HasSubstr("ends early"));
  EXPECT_THAT(refused("garbage that is no zlib"), HasSubstr("is not zlib's"));
  EXPECT_THAT(refused(Deflate(BuildHeaderBlock({}), "other words")),
              HasSubstr("another dictionary"));
  const auto block = [&](const std::string& text) {
    return refused(Deflate(text, Dictionary()));
  };
  EXPECT_THAT(block(BuildHeaderBlock({{"A", "b"}})),
              HasSubstr("capital letters"));
  EXPECT_THAT(block(BuildHeaderBlock({{"a", "b"}, {"a", "c"}})),
              HasSubstr("twice"));
  EXPECT_THAT(block(BuildHeaderBlock({{"", "b"}})),
              HasSubstr("without a name"));
  EXPECT_THAT(block(BuildHeaderBlock({{"a", "b"}}) + "c"),
              HasSubstr("goes on"));
  std::string many;
  Append32(many, 65);
  EXPECT_THAT(block(many), HasSubstr("has 65 headers"));
  std::string huge;
  Append32(huge, 1);
  Append32(huge, 0xffffffff);
  EXPECT_THAT(block(huge), HasSubstr("ends early"));
}

}  // namespace
}  // namespace serai::cri::spdy
