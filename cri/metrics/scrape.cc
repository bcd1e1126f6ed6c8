// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/scrape.h"

#include <array>
#include <utility>
#include <vector>

#include "cri/metrics/devices.h"
#include "cri/metrics/families.h"
#include "cri/metrics/forged.h"
#include "cri/metrics/instruments.h"
#include "cri/metrics/process.h"

namespace serai::cri {
namespace {

using prometheus::MetricFamily;

constexpr absl::Duration kShimPatience = absl::Seconds(2);

void AddPods(const Store& store, std::vector<MetricFamily>& out) {
  int ready = 0;
  int not_ready = 0;
  for (const auto& pod : store.Pods()) {
    ++(IsReady(*pod, *pod->record.Read()) ? ready : not_ready);
  }
  MetricFamily pods = GaugeFamily("serai_pods", "Pods by state.");
  AddSample(pods, ready, {{"state", "ready"}});
  AddSample(pods, not_ready, {{"state", "notready"}});
  out.push_back(std::move(pods));
}

void AddContainers(const Store& store, std::vector<MetricFamily>& out) {
  std::array<int, 3> counts = {};
  for (const auto& container : store.Containers()) {
    ++counts.at(static_cast<size_t>(PhaseOf(*container->record.Read())));
  }
  MetricFamily containers =
      GaugeFamily("serai_containers", "Containers by state.");
  constexpr std::array<std::pair<ContainerPhase, const char*>, 3> kStates = {{
      {ContainerPhase::kCreated, "created"},
      {ContainerPhase::kRunning, "running"},
      {ContainerPhase::kExited, "exited"},
  }};
  for (const auto& [phase, name] : kStates) {
    AddSample(containers, counts.at(static_cast<size_t>(phase)),
              {{"state", name}});
  }
  out.push_back(std::move(containers));
}

void AddImages(const ImageStore& images, std::vector<MetricFamily>& out) {
  const std::vector<Image> all = images.List();
  int64_t bytes = 0;
  for (const Image& image : all) bytes += image.size;
  MetricFamily count = GaugeFamily("serai_images", "Images in the store.");
  AddSample(count, static_cast<double>(all.size()));
  out.push_back(std::move(count));
  MetricFamily size =
      GaugeFamily("serai_images_size_bytes",
                  "Size of all images in the store, as registries count it.");
  AddSample(size, static_cast<double>(bytes));
  out.push_back(std::move(size));
}

}  // namespace

std::string ScrapeMetrics(const Store& store, const ImageStore& images,
                          Exposition exposition) {
  std::vector<MetricFamily> families = CollectInstruments();
  AddPods(store, families);
  AddContainers(store, families);
  AddImages(images, families);
  DeviceCollector(store).Collect(kShimPatience, families);
  CollectForgedFrames(store, families);
  AddProcess(families);
  return Expose(families, exposition);
}

}  // namespace serai::cri
