// SPDX-License-Identifier: Apache-2.0
#include "cli/yaml.h"

#include <string>

#include "tests/support/status_matchers.h"

namespace serai::cli {
namespace {

using nlohmann::json;
using serai::testing::HasStatus;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Repeat(absl::string_view unit, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text.append(unit.data(), unit.size());
  return text;
}

TEST(YamlTest, GivesScalarsTheirTypes) {
  ASSERT_OK_AND_ASSIGN(
      const json value,
      ParseYaml("{a: 1, b: '1', c: true, d: \"true\", e: 1.5, f: ~, g: word, "
                "h: yes, i: -3, j: , k: 1e3, l: 32Mi, m: 0x10, n: .inf}"));
  EXPECT_EQ(value, json::parse(R"({"a":1,"b":"1","c":true,"d":"true","e":1.5,
      "f":null,"g":"word","h":"yes","i":-3,"j":null,"k":1000.0,"l":"32Mi",
      "m":"0x10","n":".inf"})"));
}

TEST(YamlTest, ReadsJson) {
  ASSERT_OK_AND_ASSIGN(const json value,
                       ParseYaml(R"({"a": [1, "x", null], "b": {"c": ""}})"));
  EXPECT_EQ(value, json::parse(R"({"a": [1, "x", null], "b": {"c": ""}})"));
}

TEST(YamlTest, FollowsAliases) {
  ASSERT_OK_AND_ASSIGN(const json value, ParseYaml("a: &x [1]\nb: *x"));
  EXPECT_EQ(value["b"], json::parse("[1]"));
}

TEST(YamlTest, TakesExactlyOneDocument) {
  EXPECT_OK(ParseYaml("---\n# nothing\n---\na: 1\n---\n"));
  EXPECT_THAT(ParseYaml("a: 1\n---\nb: 2"), HasStatus(kInvalid, "2 documents"));
  EXPECT_THAT(ParseYaml(""), HasStatus(kInvalid, "is empty"));
  EXPECT_THAT(ParseYaml("# only this"), HasStatus(kInvalid, "is empty"));
}

TEST(YamlTest, RefusesWhatIsAmbiguous) {
  EXPECT_THAT(ParseYaml("a: 1\na: 2"),
              HasStatus(kInvalid, "line 2, column 1: \"a\" is given twice"));
  EXPECT_THAT(ParseYaml("x: &x {a: 1}\ny: {<<: *x}"),
              HasStatus(kInvalid, "merge keys"));
  EXPECT_THAT(ParseYaml("? [a]\n: b"), HasStatus(kInvalid, "key must be"));
}

TEST(YamlTest, SaysWhereAMistakeIs) {
  EXPECT_THAT(ParseYaml("a: 1\nb: [1, 2\n"), HasStatus(kInvalid, "line "));
  EXPECT_THAT(ParseYaml("a: *nothing"), HasStatus(kInvalid, "is not YAML"));
}

TEST(YamlTest, BoundsSizeDepthAndExpansion) {
  EXPECT_THAT(ParseYaml(std::string(kMaxYamlBytes + 1, '#')),
              HasStatus(kInvalid, "longer than"));
  EXPECT_THAT(ParseYaml(Repeat("[", 100) + Repeat("]", 100)),
              HasStatus(kInvalid, "nested"));
  // The node that holds itself, and the small text that is a billion values.
  EXPECT_THAT(ParseYaml("&a [*a]"), HasStatus(kInvalid, "nested"));
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    laughs += absl::StrCat("a", i, ": &a", i, " [",
                           Repeat(absl::StrCat("*a", i - 1, ","), 10), "]\n");
  }
  EXPECT_THAT(ParseYaml(laughs), HasStatus(kInvalid, "more than"));
}

TEST(YamlTest, SurvivesHostileNesting) {
  for (const char* unit : {"[", "{", "- ", "? ", "{a: ", "&a [", "!a ", "? - ",
                           "[a,", "*a ", "--- a\n"}) {
    EXPECT_FALSE(ParseYaml(Repeat(unit, 100'000)).ok()) << unit;
  }
}

}  // namespace
}  // namespace serai::cli
