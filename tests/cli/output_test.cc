// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <sstream>

#include "gtest/gtest.h"

namespace serai::cli {
namespace {

TEST(OutputTest, AlignsColumns) {
  Table table({"NAME", "X"});
  table.Add({"a-long-name", "1"});
  table.Add({"", "2"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "NAME          X\n"
            "a-long-name   1\n"
            "-             2\n");
}

TEST(OutputTest, KeepsControlCharactersFromTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[31mb\r\nc\x7f"), "a [31mb  c");
  EXPECT_EQ(Printable("\xc3\xa9t\xc3\xa9"), "\xc3\xa9t\xc3\xa9");
  EXPECT_EQ(Printable("a\xc2\x9b"
                      "b"),
            "a\xc2?b");
}

TEST(OutputTest, PrintsJsonOfBytesThatAreNoText) {
  std::ostringstream out;
  PrintJson(out, {{"a", "\xff"}});
  EXPECT_EQ(out.str(), "{\n  \"a\": \"\xEF\xBF\xBD\"\n}\n");
}

TEST(OutputTest, WritesAgesAndSizes) {
  constexpr int64_t kSecond = 1'000'000'000;
  EXPECT_EQ(Age(0, 5 * kSecond), "");
  EXPECT_EQ(Age(kSecond, kSecond + 20'000'000), "20ms");
  EXPECT_EQ(Age(kSecond, 91 * kSecond), "90s");
  EXPECT_EQ(Age(kSecond, 601 * kSecond), "10m");
  EXPECT_EQ(Age(kSecond, 3 * 86400 * kSecond), "2d");
  EXPECT_EQ(Age(9 * kSecond, kSecond), "0ms");
  EXPECT_EQ(HumanBytes(512), "512 B");
  EXPECT_EQ(HumanBytes(3 << 20), "3.0 MiB");
  EXPECT_EQ(ShortImageId("sha256:0123456789abcdef"), "0123456789abc");
}

}  // namespace
}  // namespace serai::cli
