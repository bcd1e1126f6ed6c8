// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/forged.h"

#include <utility>

#include "cri/metrics/families.h"
#include "cri/state/networks.h"
#include "lib/base/unique_fd.h"
#include "lib/host/netns.h"
#include "lib/host/tap_guard.h"

namespace serai::cri {
namespace {

void AddPod(const PodRecord& record, prometheus::MetricFamily& family) {
  const auto netns = host::OpenNetns(record.netns_path());
  if (!netns.ok()) return;
  const auto& metadata = record.config().metadata();
  for (const state::v1::PodNetwork& network : NetworksOf(record)) {
    const auto frames = host::ReadForgedFrames(
        network.tap_on_node() ? -1 : netns->get(), network.tap());
    if (!frames.ok()) continue;
    AddSample(family, static_cast<double>(*frames),
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
    if (!record.stopped()) AddPod(record, family);
  }
  out.push_back(std::move(family));
}

}  // namespace serai::cri
