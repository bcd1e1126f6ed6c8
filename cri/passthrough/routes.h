// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which of the two answers a call: seraid itself or containerd. Known are the
// methods' names and the numbers of the fields that decide; what is not in the
// table is containerd's. Pure; any thread.

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cri {

// What of a node is seraid's own. Asked by many threads at once, must not
// block.
class Ours {
 public:
  virtual ~Ours() = default;
  virtual bool HasHandler(absl::string_view handler) const = 0;
  // By id or by the beginning of one.
  virtual bool HasPod(absl::string_view id) const = 0;
  virtual bool HasContainer(absl::string_view id) const = 0;
  // By the whole id, which nobody else's can be.
  virtual bool IsPod(absl::string_view id) const = 0;
  virtual bool IsContainer(absl::string_view id) const = 0;
};

enum class Kind {
  kContainerd,
  kLocal,
  kOwner,          // the one that has the pod or container, or the handler
  kList,           // both; their lists are one
  kMetrics,        // the same, where one of them need not know the method
  kDescriptors,    // the same, each name once
  kStatus,         // both; what is true of the node
  kRuntimeConfig,  // containerd's answer where it knows the method, else ours
  kUpdate,         // both are told
  kStreamedList,   // both, one after the other
  kEvents,         // both at once
};

// The numbers of the fields that lead to a string, 0 where there are no more.
using FieldPath = std::array<uint32_t, 2>;

struct Rule {
  absl::string_view method;
  Kind kind = Kind::kContainerd;
  FieldPath pod = {};
  FieldPath container = {};
  FieldPath handler = {};
};

// `method` as gRPC gives it: "/package.Service/Method".
Rule RuleOf(absl::string_view method);

enum class Target { kLocal, kContainerd, kBoth };

// Where this request goes. A list's filter that names a pod or container of
// ours by its whole id makes it a matter of ours alone. INVALID_ARGUMENT when
// the request has to be looked into and is no message.
absl::StatusOr<Target> TargetOf(const Rule& rule, absl::string_view request,
                                const Ours& ours);

}  // namespace serai::cri
