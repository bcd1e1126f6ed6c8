// SPDX-License-Identifier: Apache-2.0
#pragma once

// A subscriber of GetContainerEvents: reads all there is, on a thread of its
// own.

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "tests/support/cri_client.h"

namespace serai::testing {

class EventListener {
 public:
  explicit EventListener(CriClient& node)
      : stream_(node.runtime().GetContainerEvents(&context_, {})) {
    // From here on nothing is missed.
    stream_->WaitForInitialMetadata();
    thread_ = std::thread([this] { Read(); });
  }

  ~EventListener() {
    context_.TryCancel();
    if (thread_.joinable()) thread_.join();
  }

  // The types of a container's events once there are `count` of them.
  std::vector<cri::ContainerEventType> Of(const std::string& container,
                                          size_t count) {
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return TypesOf(container).size() >= count;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(20));
    return TypesOf(container);
  }

  cri::ContainerEventResponse Find(const std::string& container,
                                   cri::ContainerEventType type) {
    absl::MutexLock lock(&mutex_);
    for (const auto& event : events_) {
      if (event.container_id() == container &&
          event.container_event_type() == type) {
        return event;
      }
    }
    ADD_FAILURE() << "no such event of " << container;
    return {};
  }

  // How the stream ended.
  absl::Status End() {
    thread_.join();
    return FromGrpc(stream_->Finish());
  }

 private:
  void Read() {
    cri::ContainerEventResponse event;
    while (stream_->Read(&event)) {
      absl::MutexLock lock(&mutex_);
      events_.push_back(event);
    }
  }

  std::vector<cri::ContainerEventType> TypesOf(const std::string& container)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<cri::ContainerEventType> types;
    int64_t last = 0;
    for (const auto& event : events_) {
      if (event.container_id() != container) continue;
      types.push_back(event.container_event_type());
      EXPECT_GE(event.created_at(), last);
      last = event.created_at();
    }
    return types;
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<cri::ContainerEventResponse>> stream_;
  absl::Mutex mutex_;
  std::vector<cri::ContainerEventResponse> events_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace serai::testing
