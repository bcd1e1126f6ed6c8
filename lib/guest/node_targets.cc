// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/node_targets.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"

namespace serai::guest {
namespace {

constexpr char kKvmDevice[] = "/dev/kvm";

}  // namespace

NodeTargets ProbeNode() {
  NodeTargets node;
  const absl::StatusOr<UniqueFd> kvm = OpenFile(kKvmDevice, O_RDWR);
  if (!kvm.ok()) {
    node.hvt = false;
    node.hvt_reason = std::string(kvm.status().message());
  } else if (::ioctl(kvm->get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
    node.hvt = false;
    node.hvt_reason = absl::StrCat(kKvmDevice, " is no KVM device");
  }
  return node;
}

}  // namespace serai::guest
