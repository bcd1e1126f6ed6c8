// SPDX-License-Identifier: Apache-2.0
#pragma once

// One answer out of two: seraid's own and containerd's. Pure; any thread.

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "cri/passthrough/routes.h"

namespace serai::cri {

struct Answered {
  grpc::Status status;
  grpc::ByteBuffer message;  // when the status is OK
};

// For a method of `kind`, both having been asked. A list lacks nothing: it
// fails when one of the two has failed, since kubelet takes a pod that is not
// in it for dead.
Answered Merge(Kind kind, const Answered& ours, const Answered& theirs);

// Of Status (status_answer.cc): each condition holds when it does for both, and
// is false with a sentence while containerd does not answer. Handlers and
// information are those of both, features are containerd's.
Answered MergeStatus(const Answered& ours, const Answered& theirs);

}  // namespace serai::cri
