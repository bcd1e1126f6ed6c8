// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace serai::guest {

// What the node can run. A reason is a sentence fragment such as
// "open /dev/kvm: No such file or directory".
struct NodeTargets {
  bool hvt = true;
  std::string hvt_reason;  // why not
  bool spt = true;
  std::string spt_reason;
};

// Whether this node can run hvt guests now (/dev/kvm opens and answers), and
// spt guests (always).
NodeTargets ProbeNode();

}  // namespace serai::guest
