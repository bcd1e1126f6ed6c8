// SPDX-License-Identifier: Apache-2.0
#pragma once

// Every step of seraid's that can be made to fail, or to be its last
// (lib/base/fault.h), with the call that comes to it. A test sees to it that
// none of the source is missing here; tests/integration/fault_test.cc tries
// those of pods and containers, and whoever has images or checkpoints those of
// theirs.

namespace serai::testing {

enum class FaultCall {
  kRunPod,
  kCreateContainer,
  kStartContainer,
  kStopContainer,
  kReopenLog,
  kRemoveContainer,
  kStopPod,
  kRemovePod,
  kEnd,  // no call: a guest ends by itself, and nobody hears of a failure
  kImage,
  kRestorePod,
};

struct FaultStep {
  const char* name;
  FaultCall call;
};

inline constexpr FaultStep kFaultSteps[] = {
    {"pod.record", FaultCall::kRunPod},
    {"pod.directory", FaultCall::kRunPod},
    {"pod.netns", FaultCall::kRunPod},
    {"pod.cni", FaultCall::kRunPod},
    {"pod.tap", FaultCall::kRunPod},
    {"pod.cgroup", FaultCall::kRunPod},
    {"pod.shim", FaultCall::kRunPod},
    {"pod.commit", FaultCall::kRunPod},
    {"container.record", FaultCall::kCreateContainer},
    {"container.image", FaultCall::kCreateContainer},
    {"container.shared", FaultCall::kCreateContainer},
    {"container.bundle", FaultCall::kCreateContainer},
    {"container.commit", FaultCall::kCreateContainer},
    {"container.starting", FaultCall::kStartContainer},
    {"container.task", FaultCall::kStartContainer},
    {"container.start", FaultCall::kStartContainer},
    {"container.started", FaultCall::kStartContainer},
    {"container.term", FaultCall::kStopContainer},
    {"log.reopen", FaultCall::kReopenLog},
    {"log.reopened", FaultCall::kReopenLog},
    {"container.removing", FaultCall::kRemoveContainer},
    {"container.cgroup-removed", FaultCall::kRemoveContainer},
    {"container.bundle-removed", FaultCall::kRemoveContainer},
    {"container.erased", FaultCall::kRemoveContainer},
    {"stop.record", FaultCall::kStopPod},
    {"container.kill", FaultCall::kStopPod},
    {"stop.containers", FaultCall::kStopPod},
    {"teardown.shim", FaultCall::kStopPod},
    {"teardown.network", FaultCall::kStopPod},
    {"teardown.netns", FaultCall::kStopPod},
    {"teardown.cgroup", FaultCall::kStopPod},
    {"teardown.directory", FaultCall::kStopPod},
    {"stop.stopped", FaultCall::kStopPod},
    {"remove.containers", FaultCall::kRemovePod},
    {"remove.erased", FaultCall::kRemovePod},
    {"container.forgotten", FaultCall::kEnd},
    {"image-commit", FaultCall::kImage},
    {"image.view", FaultCall::kImage},
    {"image.view-record", FaultCall::kImage},
    {"image.view-removed", FaultCall::kImage},
    {"restore.taken", FaultCall::kRestorePod},
    {"restore.pod", FaultCall::kRestorePod},
    {"restore.container", FaultCall::kRestorePod},
};

}  // namespace serai::testing
