// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which file of an image is the unikernel, and what this node runs it as. In
// this order: the pod's annotation `serai.dev/unikernel`; the absolute path
// that its container's command begins with; the image's annotations and labels
// `dev.serai.unikernel[.<target>]`; urunc's annotations or its urunc.json; the
// entrypoint; the only Solo5 file in the root file system. An entrypoint
// /app.hvt has /app.spt beside it where the node runs that one only.

#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/guest/node_targets.h"
#include "lib/solo5/unikernel.h"

namespace serai::guest {

inline constexpr char kPodAnnotationUnikernel[] = "serai.dev/unikernel";

using StringMap = std::map<std::string, std::string>;

// What is said of an image. Its labels and manifest are not known everywhere.
struct ImageWords {
  StringMap pod_annotations;
  std::string command;    // an absolute path, or nothing
  StringMap annotations;  // these go before the labels
  StringMap labels;
  std::vector<std::string> entrypoint;
  std::string working_dir;  // where a relative entrypoint starts
  // The entrypoint may be the pod's own word: an absolute path then is the
  // program that is wanted, and must be a file of the image.
  bool entrypoint_may_be_pods = false;
  // Who says it, for messages: "the image", "the container".
  std::string speaker = "the image";
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
// The image's root file system is the directory `root_fd`; everything in it is
// hostile: paths are resolved inside of it, the search of it is bounded.
absl::StatusOr<FoundUnikernel> FindUnikernel(int root_fd,
                                             const ImageWords& words,
                                             const NodeTargets& node);

}  // namespace serai::guest
