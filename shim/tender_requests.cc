// SPDX-License-Identifier: Apache-2.0
#include "shim/tender_requests.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace serai::shim {

using Json = nlohmann::json;

TenderRequests::~TenderRequests() {
  for (const auto& [key, all] : expected_) {
    for (const auto& [number, one] : all) loop_.CancelTimer(one.timer);
  }
}

void TenderRequests::Expect(const std::string& key, absl::Duration timeout,
                            OnAnswer on_answer) {
  const uint64_t number = next_++;
  // 0 is no timer's.
  const bool finite = timeout != absl::InfiniteDuration();
  const EventLoop::TimerId timer =
      !finite ? 0 : loop_.AddTimer(timeout, [=, this] {
        const auto node = expected_[key].extract(number);
        if (node.empty()) return;
        node.mapped().on_answer(absl::DeadlineExceededError(
            absl::StrCat("the tender has not answered within ",
                         absl::FormatDuration(timeout))));
      });
  expected_[key][number] = Expected{timer, std::move(on_answer)};
}

void TenderRequests::Line(absl::string_view line) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) return;
  for (auto& [key, all] : expected_) {
    if (!json.contains(key)) continue;
    // Those who are answered may ask again.
    const auto answered = std::exchange(all, {});
    for (const auto& [number, one] : answered) {
      loop_.CancelTimer(one.timer);
      one.on_answer(json);
    }
    return;
  }
}

void TenderRequests::End(const absl::Status& why) {
  const auto all = std::exchange(expected_, {});
  for (const auto& [key, expected] : all) {
    for (const auto& [number, one] : expected) {
      loop_.CancelTimer(one.timer);
      one.on_answer(why);
    }
  }
}

}  // namespace serai::shim
