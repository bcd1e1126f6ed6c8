// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/forged.h"

#include <memory>
#include <set>
#include <utility>

#include "cri/metrics/families.h"
#include "cri/state/networks.h"
#include "lib/base/unique_fd.h"
#include "lib/host/netns.h"
#include "lib/host/tap_guard.h"

namespace serai::cri {
namespace {

using Containers = std::vector<std::shared_ptr<Container>>;

// The taps at the interface whose own one is `own`: of guests that share it,
// each has one.
std::set<std::string> TapsAt(const std::string& own,
                             const Containers& containers) {
  std::set<std::string> taps = {own};
  for (const auto& container : containers) {
    for (const std::string& tap : TapsOf(*container->record.Read())) {
      if (IsTapAt(tap, own)) taps.insert(tap);
    }
  }
  return taps;
}

void AddPod(const PodRecord& record, const Containers& containers,
            prometheus::MetricFamily& family) {
  const auto netns = host::OpenNetns(record.netns_path());
  if (!netns.ok()) return;
  const auto& metadata = record.config().metadata();
  for (const state::v1::PodNetwork& network : NetworksOf(record)) {
    const int place = network.tap_on_node() ? -1 : netns->get();
    uint64_t sum = 0;
    for (const std::string& tap : TapsAt(network.tap(), containers)) {
      sum += host::ReadForgedFrames(place, tap).value_or(0);
    }
    AddSample(family, static_cast<double>(sum),
              {{"namespace", metadata.namespace_()},
               {"pod", metadata.name()},
               {"uid", metadata.uid()},
               {"interface", network.interface()}});
  }
}

}  // namespace

void CollectForgedFrames(const Store& store,
                         std::vector<prometheus::MetricFamily>& out) {
  prometheus::MetricFamily family =
      CounterFamily("serai_pod_forged_frames_total",
                    "Frames that a guest sent under another's address.");
  for (const auto& pod : store.Pods()) {
    const PodRecord record = pod->record.Get();
    if (record.stopped()) continue;
    AddPod(record, store.ContainersOf(record.id()), family);
  }
  out.push_back(std::move(family));
}

}  // namespace serai::cri
