// SPDX-License-Identifier: Apache-2.0
#pragma once

// From records to the CRI's messages. Pure functions, any thread.

#include "cri/events/event_hub.h"
#include "cri/image/image.h"
#include "cri/state/store.h"
#include "proto/cri/container.pb.h"
#include "proto/cri/image.pb.h"
#include "proto/cri/pod.pb.h"
#include "proto/cri/runtime.pb.h"

namespace serai::cri {

namespace v1 = runtime::v1;

v1::PodSandboxState StateOf(const Pod& pod, const PodRecord& record);
v1::PodSandbox ToPodSandbox(const Pod& pod);
v1::PodSandboxStatus ToPodSandboxStatus(const Pod& pod);

v1::ContainerState StateOf(const ContainerRecord& record);
v1::Container ToContainer(const ContainerRecord& record);
v1::ContainerStatus ToContainerStatus(const ContainerRecord& record);

// With the pod and its containers as they are now, where they still are.
v1::ContainerEventResponse ToEvent(const Store& store, const Event& event);

v1::Image ToImage(const Image& image);

// Whether the message passes the filter; an empty filter passes all. Ids may be
// given by their beginning.
bool Passes(const v1::PodSandbox& pod, const v1::PodSandboxFilter& filter);
bool Passes(const v1::Container& container, const v1::ContainerFilter& filter);

}  // namespace serai::cri
