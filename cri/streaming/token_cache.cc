// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/token_cache.h"

#include <sys/random.h>

#include <array>
#include <cerrno>

#include "absl/strings/escaping.h"

namespace serai::cri::streaming {
namespace {

// 192 bits: 32 characters that a URL may have.
absl::StatusOr<std::string> NewToken() {
  std::array<char, 24> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) !=
      static_cast<ssize_t>(bytes.size())) {
    return ErrnoStatus(errno, "getrandom");
  }
  return absl::WebSafeBase64Escape(
      absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace

absl::StatusOr<std::string> TokenCache::Insert(Request request,
                                               absl::Duration now) {
  ASSIGN_OR_RETURN(std::string token, NewToken());
  absl::MutexLock lock(&mutex_);
  while (!oldest_.empty() && oldest_.front().first <= now) {
    entries_.erase(oldest_.front().second);
    oldest_.pop_front();
  }
  if (entries_.size() >= kMaxTokens) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMaxTokens,
                     " URLs were given out within a minute that nobody has "
                     "come for; try again in a minute"));
  }
  const absl::Duration expires = now + kLifetime;
  oldest_.emplace_back(expires, token);
  entries_.emplace(token, Entry{std::move(request), expires});
  return token;
}

absl::StatusOr<Request> TokenCache::Take(absl::string_view token,
                                         absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(token);
  if (found == entries_.end() || found->second.expires <= now) {
    return absl::NotFoundError(
        "this URL served once or is older than a minute");
  }
  Request request = std::move(found->second.request);
  entries_.erase(found);
  return request;
}

}  // namespace serai::cri::streaming
