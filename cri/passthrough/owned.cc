// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/owned.h"

namespace serai::cri {

bool Owned::HasHandler(absl::string_view handler) const {
  return config_.handlers.count(std::string(handler)) != 0;
}

bool Owned::HasPod(absl::string_view id) const {
  return !id.empty() && !absl::IsNotFound(store_.FindPod(id).status());
}

bool Owned::HasContainer(absl::string_view id) const {
  return !id.empty() && !absl::IsNotFound(store_.FindContainer(id).status());
}

bool Owned::IsPod(absl::string_view id) const {
  const auto pod = store_.FindPod(id);
  return pod.ok() && (*pod)->id == id;
}

bool Owned::IsContainer(absl::string_view id) const {
  const auto container = store_.FindContainer(id);
  return container.ok() && (*container)->id == id;
}

}  // namespace serai::cri
