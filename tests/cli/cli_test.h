// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs command lines in this process, against a FakeCri.

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/fake_cri.h"
#include "tests/support/temp_dir.h"

namespace serai::cli {

struct Result {
  int code = -1;
  std::string out;
  std::string err;

  // `out` as JSON; discarded when it is none.
  nlohmann::json Json() const {
    return nlohmann::json::parse(out, nullptr, false);
  }
};

// As the program does, `input` being its standard input.
inline Result RunLine(std::vector<std::string> args,
                      const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  Result result;
  result.code = RunCli(std::move(args), in, out, err);
  result.out = out.str();
  result.err = err.str();
  return result;
}

class CliTest : public ::testing::Test {
 protected:
  Result Serai(std::vector<std::string> args, const std::string& input = "") {
    args.push_back("--socket");
    args.push_back(cri_.socket());
    return RunLine(std::move(args), input);
  }

  testing::FakeCri cri_;
  testing::TempDir directory_;
};

// One "serai: …" line with `part` in it.
MATCHER_P(IsOneError, part, "") {
  return arg.rfind("serai: ", 0) == 0 && arg.find('\n') == arg.size() - 1 &&
         arg.find(part) != std::string::npos;
}

}  // namespace serai::cli
