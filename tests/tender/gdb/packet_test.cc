// SPDX-License-Identifier: Apache-2.0
#include "tender/gdb/packet.h"

#include <array>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serai::tender::gdb {
namespace {

using ::testing::ElementsAre;
using Event = PacketReader::Event;

// The events that `bytes` bring about, and the payload of the last packet.
std::vector<Event> Feed(PacketReader* reader, const std::string& bytes) {
  std::vector<Event> events;
  for (const char c : bytes) {
    const Event event = reader->Add(static_cast<uint8_t>(c));
    if (event != Event::kNone) events.push_back(event);
  }
  return events;
}

TEST(PacketReaderTest, FindsPacketsAmongOtherBytes) {
  PacketReader reader;
  EXPECT_THAT(Feed(&reader, "++$m10,4#9"), ElementsAre());
  EXPECT_THAT(Feed(&reader, "2"), ElementsAre(Event::kBroken));
  EXPECT_THAT(Feed(&reader, "xy$OK#9a"), ElementsAre(Event::kPacket));
  EXPECT_EQ(reader.payload(), "OK");
  EXPECT_THAT(Feed(&reader, "$#00"), ElementsAre(Event::kPacket));
  EXPECT_EQ(reader.payload(), "");
}

TEST(PacketReaderTest, TellsInterruptsOnlyBetweenPackets) {
  PacketReader reader;
  EXPECT_THAT(
      Feed(&reader, "\x03$\x03#03\x03"),
      ElementsAre(Event::kInterrupt, Event::kPacket, Event::kInterrupt));
  EXPECT_EQ(reader.payload(), "\x03");
}

TEST(PacketReaderTest, TellsWhatIsToBeRepeated) {
  PacketReader reader;
  EXPECT_THAT(Feed(&reader, "+-"), ElementsAre(Event::kRepeat));
}

TEST(PacketReaderTest, RefusesWrongChecksums) {
  PacketReader reader;
  EXPECT_THAT(Feed(&reader, "$OK#9b$OK#zz$OK#9z"),
              ElementsAre(Event::kBroken, Event::kBroken, Event::kBroken));
}

TEST(PacketReaderTest, RefusesWhatIsTooLongAndGoesOn) {
  const std::string longest(kMaxPayload, '\0');
  PacketReader reader;
  EXPECT_THAT(Feed(&reader, "$" + longest + "#00"),
              ElementsAre(Event::kPacket));
  EXPECT_EQ(reader.payload(), longest);
  EXPECT_THAT(Feed(&reader, "$" + longest + std::string(1, '\0') + "#00"),
              ElementsAre(Event::kBroken));
  EXPECT_THAT(Feed(&reader, "$OK#9a"), ElementsAre(Event::kPacket));
}

TEST(PacketWriterTest, FramesWhatIsPutIn) {
  PacketWriter writer;
  const uint8_t bytes[] = {0x00, 0xab};
  EXPECT_EQ(writer.Text("T").Bytes(bytes).Finish(), "$T00ab#77");
  writer.Clear();
  EXPECT_EQ(writer.Finish(), "$#00");
  writer.Clear();
  EXPECT_EQ(writer.Hex(0).Text(",").Hex(0x1f0).Finish(), "$0,1f0#23");
  writer.Clear();
  EXPECT_EQ(writer.Escaped("a}#$*").Finish().substr(1, 9),
            "a}]}\x03}\x04}\x0a");
}

TEST(PacketWriterTest, LeavesOutWhatDoesNotFit) {
  PacketWriter writer;
  writer.Text(std::string(3 * kMaxPayload, 'x'));
  const std::string frame(writer.Finish());
  EXPECT_EQ(frame.front(), '$');
  EXPECT_EQ(frame[frame.size() - 3], '#');
  EXPECT_GE(frame.size(), 2 * kMaxPayload);
}

TEST(PayloadReaderTest, ReadsNumbers) {
  PayloadReader reader("10,fFfFfFfFfFfFfFfF:");
  uint64_t number = 0;
  EXPECT_TRUE(reader.TakeHex(&number));
  EXPECT_EQ(number, 0x10u);
  EXPECT_FALSE(reader.TakeHex(&number));
  EXPECT_TRUE(reader.Take(","));
  EXPECT_TRUE(reader.TakeHex(&number));
  EXPECT_EQ(number, ~uint64_t{0});
  EXPECT_EQ(reader.rest(), ":");
  EXPECT_FALSE(PayloadReader("00000000000000001").TakeHex(&number));
  EXPECT_FALSE(PayloadReader("").TakeHex(&number));
}

TEST(PayloadReaderTest, ReadsBytes) {
  std::array<uint8_t, 2> bytes = {};
  PayloadReader reader("12fEx");
  EXPECT_TRUE(reader.TakeBytes(bytes));
  EXPECT_THAT(bytes, ElementsAre(0x12, 0xfe));
  EXPECT_EQ(reader.rest(), "x");
  EXPECT_FALSE(PayloadReader("123").TakeBytes(bytes));
  EXPECT_FALSE(PayloadReader("12g4").TakeBytes(bytes));
}

TEST(PayloadReaderTest, ReadsEscapedBytes) {
  std::array<uint8_t, 3> bytes = {};
  PayloadReader reader("a}]}\x03z");
  EXPECT_TRUE(reader.TakeEscaped(bytes));
  EXPECT_THAT(bytes, ElementsAre('a', '}', '#'));
  EXPECT_EQ(reader.rest(), "z");
  EXPECT_FALSE(PayloadReader("ab").TakeEscaped(bytes));
  EXPECT_FALSE(PayloadReader("ab}").TakeEscaped(bytes));
}

}  // namespace
}  // namespace serai::tender::gdb
