// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which file of an image is the unikernel, and what this node runs it as. In
// this order: the pod's annotation `serai.dev/unikernel`; the image's
// annotations and labels `dev.serai.unikernel[.<target>]`; urunc's annotations
// or its urunc.json; the entrypoint; the only Solo5 file in the root file
// system.

#include <map>
#include <string>

#include "cri/image/image.h"
#include "lib/base/status.h"
#include "lib/solo5/unikernel.h"

namespace serai::cri {

inline constexpr char kPodAnnotationUnikernel[] = "serai.dev/unikernel";

// What the node can run. A reason is a sentence fragment such as
// "open /dev/kvm: No such file or directory".
struct NodeTargets {
  bool hvt = true;
  std::string hvt_reason;  // why not
  bool spt = true;
  std::string spt_reason;
};

struct FoundUnikernel {
  // Absolute from the image's root, free of symbolic links.
  std::string path;
  solo5::Unikernel unikernel;
  std::string source;  // what named it: "the image's entrypoint"
};

// INVALID_ARGUMENT: no unikernel in the image (says what was looked for), one
// named that is not there or damaged or made for another target or machine,
// several to choose from. FAILED_PRECONDITION: this node lacks what it needs.
absl::StatusOr<FoundUnikernel> FindUnikernel(const Image& image,
                                             const oci::StringMap& annotations,
                                             const NodeTargets& node);

}  // namespace serai::cri
