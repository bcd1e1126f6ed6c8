// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node on which one pod with one container is seraid's.

#include "absl/strings/match.h"
#include "cri/passthrough/routes.h"

namespace serai::testing {

inline constexpr char kOurHandler[] = "unikernel";
inline constexpr char kOurPod[] = "abcdef01";
inline constexpr char kOurContainer[] = "c0ffee02";

class FakeOurs final : public cri::Ours {
 public:
  bool HasHandler(absl::string_view handler) const override {
    return handler == kOurHandler;
  }
  bool HasPod(absl::string_view id) const override {
    return !id.empty() && absl::StartsWith(kOurPod, id);
  }
  bool HasContainer(absl::string_view id) const override {
    return !id.empty() && absl::StartsWith(kOurContainer, id);
  }
  bool IsPod(absl::string_view id) const override { return id == kOurPod; }
  bool IsContainer(absl::string_view id) const override {
    return id == kOurContainer;
  }
};

}  // namespace serai::testing
