// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a running tender is asked for by a signal and answers with a line of
// JSON on its status descriptor (tender/README.md): its counters, a snapshot.
// The lines come from a process that holds a hostile guest: whoever waits for
// one checks what is in it.

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"

namespace serai::shim {

class TenderRequests {
 public:
  // Given the line, or why there is none.
  using OnAnswer = std::function<void(absl::StatusOr<nlohmann::json>)>;

  explicit TenderRequests(EventLoop& loop) : loop_(loop) {}
  ~TenderRequests();
  TenderRequests(const TenderRequests&) = delete;
  TenderRequests& operator=(const TenderRequests&) = delete;

  // Calls `on_answer` once: with the next line whose object has the member
  // `key`, or DEADLINE_EXCEEDED. The timeout may be infinite.
  void Expect(const std::string& key, absl::Duration timeout,
              OnAnswer on_answer);

  // A line has come.
  void Line(absl::string_view line);

  // No more will come.
  void End(const absl::Status& why);

 private:
  struct Expected {
    EventLoop::TimerId timer;
    OnAnswer on_answer;
  };

  EventLoop& loop_;
  uint64_t next_ = 1;
  // By key, in the order of the questions.
  std::map<std::string, std::map<uint64_t, Expected>> expected_;
};

}  // namespace serai::shim
