// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/spt/spt_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"

namespace serai::testing {
namespace {

constexpr size_t kMaxFile = 1 << 20;
constexpr int kStatusFd = 9;

}  // namespace

Reported::Reported(TenderSpec spec) {
  int pipe[2];
  EXPECT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
  reader_.reset(pipe[0]);
  const UniqueFd writer(pipe[1]);
  spec.fds[kStatusFd] = writer.get();
  spec.args.insert(spec.args.begin(), absl::StrCat("--status=@", kStatusFd));
  tender_.emplace(spec);
}

std::string Reported::StatusLines() {
  std::string lines(4096, '\0');
  const ssize_t n = ::read(reader_.get(), lines.data(), lines.size());
  lines.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return lines;
}

TenderSpec SpecOf(std::vector<std::string> args) {
  TenderSpec spec;
  args[0] = Guest(args[0] + ".spt");
  args.insert(args.begin(), "--mem=32");
  spec.args = std::move(args);
  return spec;
}

std::vector<Mapping> MappingsOf(pid_t pid) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/maps"), kMaxFile);
  EXPECT_TRUE(text.ok()) << text.status();
  std::vector<Mapping> mappings;
  for (const auto line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    Mapping mapping;
    char dash = 0;
    std::string offset, device, inode;
    std::istringstream words{std::string(line.data(), line.size())};
    words >> std::hex >> mapping.start >> dash >> mapping.end >>
        mapping.access >> offset >> device >> inode >> mapping.name;
    mappings.push_back(mapping);
  }
  return mappings;
}

uint64_t StubOf(pid_t pid) {
  for (const Mapping& mapping : MappingsOf(pid)) {
    if (mapping.access == "r-xp" && mapping.start >= uint64_t{32} << 20) {
      return mapping.start;
    }
  }
  return 0;
}

}  // namespace serai::testing
