// SPDX-License-Identifier: Apache-2.0
#include "cri/pod/creations.h"

#include <google/protobuf/util/message_differencer.h>

namespace serai::cri {
namespace {

// How often a caller that waits is looked after.
constexpr absl::Duration kHangUpPoll = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::string> Creation::Await(
    absl::FunctionRef<bool()> hung_up) const {
  while (!ended_.WaitForNotificationWithTimeout(kHangUpPoll)) {
    if (hung_up()) {
      return absl::CancelledError(
          "the caller has hung up; the pod goes on being made");
    }
  }
  return outcome_;
}

Creations::Entry Creations::Begin(const PodRecord& record, bool undoing) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<Creation>& slot = by_name_[PodName(record.config())];
  if (slot != nullptr) return {slot, false};
  slot = std::make_shared<Creation>(record, undoing);
  return {slot, true};
}

void Creations::End(Creation& creation, absl::StatusOr<std::string> outcome) {
  creation.outcome_ = std::move(outcome);
  {
    absl::MutexLock lock(&mutex_);
    by_name_.erase(PodName(creation.record().config()));
  }
  creation.ended_.Notify();
}

bool SameRequest(const PodRecord& a, const PodRecord& b) {
  return a.handler() == b.handler() &&
         google::protobuf::util::MessageDifferencer::Equals(a.config(),
                                                            b.config()) &&
         google::protobuf::util::MessageDifferencer::Equals(a.wanted_network(),
                                                            b.wanted_network());
}

}  // namespace serai::cri
