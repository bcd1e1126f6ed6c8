// SPDX-License-Identifier: Apache-2.0
// The command line itself: help, mistakes, and a daemon that is not there.
#include "tests/cli/cli_test.h"

#include "cli/command.h"

namespace serai::cli {
namespace {

using ::testing::HasSubstr;

TEST(CommandLineTest, EveryCommandHasHelp) {
  const Result all = RunLine({"--help"});
  EXPECT_EQ(all.code, 0);
  for (const char* name : {"run", "ps", "logs", "rm", "stats", "pack", "load",
                           "pull", "images", "rmi", "inspect", "version"}) {
    EXPECT_THAT(all.out, HasSubstr(name));
    const Result help = RunLine({name, "--help"});
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_THAT(help.out, HasSubstr(absl::StrCat("serai ", name))) << name;
    EXPECT_EQ(help.err, "");
  }
}

TEST(CommandLineTest, MistakesAreOneLineAndExitCode2) {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"jump"},
      {"run"},
      {"run", "a", "b"},
      {"run", "a", "--timeout", "soon"},
      {"run", "a", "--timeout", "-1s"},
      {"run", "a", "--pull", "often"},
      {"ps", "-o", "xml"},
      {"ps", "--", "x"},
      {"logs", "a", "--tail", "-1"},
      {"rm"},
      {"rm", "a", "--all"},
      {"rm", "a", "--grace", "x"},
      {"pack", "a.hvt", "-t", "n"},
      {"pack", "-t", "n", "--push"},
      {"pack", "a.hvt", "-t", "n", "--push", "--layout", "x"},
      {"pull", "a", "--user", "u"},
      {"pull", "a", "--password-stdin"}};
  for (const auto& line : lines) {
    const Result result = RunLine(line);
    EXPECT_EQ(result.code, kExitUsage) << ::testing::PrintToString(line);
    EXPECT_THAT(result.err, IsOneError("")) << ::testing::PrintToString(line);
    EXPECT_EQ(result.out, "");
  }
}

TEST(CommandLineTest, SaysThatNoDaemonListens) {
  const testing::TempDir directory;
  const std::string socket = directory / "none.sock";
  for (const auto& line :
       std::vector<std::vector<std::string>>{{"ps"},
                                             {"logs", "a"},
                                             {"rm", "a"},
                                             {"images"},
                                             {"pull", "a"},
                                             {"inspect", "a"}}) {
    auto args = line;
    args.insert(args.end(), {"--socket", socket});
    const Result result = RunLine(args);
    EXPECT_EQ(result.code, kExitFailure);
    EXPECT_EQ(result.err,
              absl::StrCat("serai: no seraid at ", socket,
                           ": is it running? (--socket or SERAI_SOCKET names "
                           "another)\n"));
  }
}

TEST(CommandLineTest, RefusesAnImpossibleSocketPath) {
  const Result result =
      RunLine({"ps", "--socket", "/" + std::string(200, 'x')});
  EXPECT_EQ(result.code, kExitFailure);
  EXPECT_THAT(result.err, IsOneError("can't be the path of a socket"));
}

using VersionTest = CliTest;

TEST_F(VersionTest, NamesBothEnds) {
  const Result json = Serai({"version", "-o", "json"});
  EXPECT_EQ(json.code, 0);
  EXPECT_EQ(json.Json()["server"]["version"], "1.2.3");
  const Result text = Serai({"version"});
  EXPECT_THAT(text.out, HasSubstr("fake 1.2.3, CRI v1"));
  const Result alone =
      RunLine({"version", "--socket", directory_ / "none.sock"});
  EXPECT_EQ(alone.code, 0);
  EXPECT_THAT(alone.out, HasSubstr("serai "));
  EXPECT_THAT(alone.err, IsOneError("note: no seraid at"));
}

}  // namespace
}  // namespace serai::cli
