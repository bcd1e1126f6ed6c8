// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node whose pods are at the loopback address, and whose consoles say what
// the test does.

#include <string>
#include <utility>
#include <vector>

#include "cri/streaming/backend.h"

namespace serai::cri::streaming {

class FakeBackend final : public Backend {
 public:
  struct Asked {
    uint64_t offset = 0;
    std::function<void(absl::StatusOr<ConsolePiece>)> done;
  };

  absl::StatusOr<std::vector<std::string>> PodAddresses(
      const std::string&) override {
    ++dialled;
    return std::vector<std::string>{"127.0.0.1"};
  }
  std::shared_ptr<const void> WatchConsole(const std::string&) override {
    return nullptr;
  }
  void ReadConsole(
      const std::string&, uint64_t offset,
      std::function<void(absl::StatusOr<ConsolePiece>)> done) override {
    asked.push_back({offset, std::move(done)});
  }
  // Answers the oldest question.
  void Say(ConsolePiece piece) {
    const Asked first = std::move(asked.front());
    asked.erase(asked.begin());
    first.done(std::move(piece));
  }

  int dialled = 0;
  std::vector<Asked> asked;
};

}  // namespace serai::cri::streaming
