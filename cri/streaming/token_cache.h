// SPDX-License-Identifier: Apache-2.0
#pragma once

// Requests that kubelet has made by gRPC and will come for by HTTP: each under
// a random token that serves once, for a minute. Any thread.

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

struct AttachRequest {
  std::string container;
  bool in = false;
  bool out = false;
  bool err = false;
  bool tty = false;
};

struct PortForwardRequest {
  std::string pod;
  // For WebSocket channels, which the client can't add to; may be empty.
  std::vector<uint16_t> ports;
};

using Request = std::variant<AttachRequest, PortForwardRequest>;

class TokenCache {
 public:
  static constexpr absl::Duration kLifetime = absl::Minutes(1);
  static constexpr size_t kMaxTokens = 1000;

  // `now` is the monotonic clock's (lib/base/deadline.h).
  //
  // A token for the request. RESOURCE_EXHAUSTED when too many wait.
  absl::StatusOr<std::string> Insert(Request request, absl::Duration now);

  // The request, which is then forgotten. NOT_FOUND for a token that is none,
  // was taken, or is too old.
  absl::StatusOr<Request> Take(absl::string_view token, absl::Duration now);

 private:
  struct Entry {
    Request request;
    absl::Duration expires;
  };

  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  // In the order of their expiry; taken ones too.
  std::deque<std::pair<absl::Duration, std::string>> oldest_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri::streaming
