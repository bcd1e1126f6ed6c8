// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/field_reader.h"

#include "tests/cri/passthrough/wire.h"
#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::Bytes;
using ::serai::testing::HasStatus;
using ::serai::testing::Number;
using ::serai::testing::Tag;
using ::serai::testing::Varint;

std::string Find(const std::string& message, std::vector<uint32_t> path) {
  const auto found = FindString(message, path);
  return found.ok() ? std::string(*found) : found.status().ToString();
}

TEST(FieldReaderTest, AStringIsFoundAmongFieldsOfEveryType) {
  const std::string message =
      absl::StrCat(Number(1, ~uint64_t{0}), Tag(9, 1), "12345678", Tag(8, 5),
                   "1234", Bytes(2, "unikernel"), Bytes(1000, "later"));
  EXPECT_EQ(Find(message, {2}), "unikernel");
  EXPECT_EQ(Find(message, {1000}), "later");
}

TEST(FieldReaderTest, WhatIsMissingIsEmpty) {
  EXPECT_EQ(Find("", {2}), "");
  EXPECT_EQ(Find(Bytes(1, "x"), {2}), "");
  // A field of another type is another field.
  EXPECT_EQ(Find(Number(2, 7), {2}), "");
}

TEST(FieldReaderTest, TheLastOfSeveralCounts) {
  EXPECT_EQ(Find(Bytes(2, "a") + Bytes(2, "b"), {2}), "b");
  EXPECT_EQ(Find(Bytes(2, "a") + Bytes(2, ""), {2}), "");
}

TEST(FieldReaderTest, MessagesGivenSeveralTimesAreOne) {
  const std::string message = Bytes(1, Bytes(3, "pod") + Bytes(1, "id")) +
                              Bytes(1, Bytes(1, "other id"));
  EXPECT_EQ(Find(message, {1, 3}), "pod");
  EXPECT_EQ(Find(message, {1, 1}), "other id");
}

TEST(FieldReaderTest, AFieldInsideAGroupIsNotTheMessages) {
  const std::string group = absl::StrCat(Tag(5, 3), Bytes(2, "inside"),
                                         Tag(6, 3), Tag(6, 4), Tag(5, 4));
  EXPECT_EQ(Find(group + Bytes(3, "after"), {2}), "");
  EXPECT_EQ(Find(group + Bytes(3, "after"), {3}), "after");
}

TEST(FieldReaderTest, WhatIsNoMessageIsRefused) {
  const auto refused = [](const std::string& message) {
    EXPECT_THAT(FindString(message, {2}),
                HasStatus(absl::StatusCode::kInvalidArgument, "no protobuf"));
  };
  refused(Tag(2, 2));                            // no length
  refused(Tag(2, 2) + Varint(5) + "four");       // cut off
  refused(Tag(2, 2) + Varint(~uint64_t{0}));     // longer than all memory
  refused(Tag(2, 2) + std::string(11, '\xff'));  // a number without end
  refused(Tag(1, 1) + "1234567");
  refused(Tag(1, 5) + "123");
  refused(Tag(0, 0) + Varint(1));  // there is no field 0
  refused(Tag(1, 6));
  refused(Tag(1, 7));
  refused(Tag(1, 4));                  // ends what has not begun
  refused(Tag(1, 3));                  // never ends
  refused(Tag(1, 3) + Tag(2, 4));      // ends another
  refused(Varint(uint64_t{1} << 40));  // no such field number
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += Tag(1, 3);
  for (int i = 0; i < 1000; ++i) deep += Tag(1, 4);
  refused(deep);
}

TEST(FieldReaderTest, FieldsComeWithAllTheirBytes) {
  const std::string first = Number(1, 300);
  const std::string second = Bytes(2, "x");
  const std::string message = first + second;
  FieldReader reader(message);
  EXPECT_EQ(reader.Next()->whole, first);
  EXPECT_EQ(reader.Next()->whole, second);
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_TRUE(reader.ok());
}

}  // namespace
}  // namespace serai::cri
