// SPDX-License-Identifier: Apache-2.0
#pragma once

// A Kubernetes manifest for an image: a volume for each block device of its
// unikernel, what has to be chosen as a comment.

#include <string>

#include "nlohmann/json.hpp"

namespace serai::cli {

// `image` is what `serai inspect` says of one, and `name` what it is called in
// the manifest. All that came from the image is quoted, or left out.
std::string PodYaml(const nlohmann::json& image, const std::string& name);

}  // namespace serai::cli
