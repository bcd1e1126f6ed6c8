// SPDX-License-Identifier: Apache-2.0
#include "cri/image/pull_progress.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

constexpr absl::Duration kTellEvery = absl::Milliseconds(250);
constexpr absl::Duration kLogEvery = absl::Seconds(5);
constexpr absl::Duration kMeasureEvery = absl::Seconds(1);

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

int64_t PullProgress::received() const {
  int64_t sum = 0;
  for (const BlobProgress& layer : layers) sum += layer.received;
  return sum;
}

int64_t PullProgress::size() const {
  int64_t sum = 0;
  for (const BlobProgress& layer : layers) sum += layer.size;
  return sum;
}

ProgressReporter::ProgressReporter(std::string reference, PullObserver observer)
    : reference_(std::move(reference)),
      observer_(std::move(observer)),
      start_(absl::Now()),
      logged_(start_),
      measured_(start_) {}

void ProgressReporter::SetLayers(const std::vector<oci::Descriptor>& layers) {
  progress_.layers.clear();
  for (const oci::Descriptor& layer : layers) {
    progress_.layers.push_back({layer.digest, layer.size, 0});
  }
  SetStage(PullStage::kDownloading);
}

void ProgressReporter::SetReceived(const oci::Digest& digest,
                                   int64_t received) {
  // An image may have a layer twice.
  for (BlobProgress& layer : progress_.layers) {
    if (layer.digest == digest) layer.received = received;
  }
}

void ProgressReporter::SetStage(PullStage stage) {
  progress_.stage = stage;
  told_ = absl::InfinitePast();
  Tick();
}

void ProgressReporter::Tick() {
  const absl::Time now = absl::Now();
  Measure(now);
  if (observer_ && now - told_ >= kTellEvery) {
    told_ = now;
    observer_(progress_);
  }
  if (now - logged_ >= kLogEvery) {
    logged_ = now;
    Log();
  }
}

void ProgressReporter::Measure(absl::Time now) {
  const absl::Duration passed = now - measured_;
  if (passed < kMeasureEvery) return;
  const int64_t received = progress_.received();
  // A transfer that starts again has less than before.
  const auto grown =
      static_cast<double>(std::max<int64_t>(received - measured_bytes_, 0));
  progress_.bytes_per_second =
      static_cast<int64_t>(grown / absl::ToDoubleSeconds(passed));
  measured_ = now;
  measured_bytes_ = received;
}

void ProgressReporter::Log() const {
  if (progress_.stage != PullStage::kDownloading) {
    spdlog::info("pulling {}: {}", reference_,
                 progress_.stage == PullStage::kResolving
                     ? "asking the registry for its manifest"
                     : "unpacking");
    return;
  }
  const auto& layers = progress_.layers;
  const auto is_whole = [](const BlobProgress& layer) {
    return layer.received == layer.size;
  };
  const auto current = std::find_if_not(layers.begin(), layers.end(), is_whole);
  const std::string layer =
      current == layers.end() ? "none" : current->digest.ToString();
  spdlog::info(
      "pulling {}: {} of {} layers, {:.1f} of {:.1f} MiB, {:.1f} MiB/s; layer "
      "{}",
      reference_, std::count_if(layers.begin(), layers.end(), is_whole),
      layers.size(), MiB(progress_.received()), MiB(progress_.size()),
      MiB(progress_.bytes_per_second), layer);
}

void ProgressReporter::Finish(const std::string& id) {
  spdlog::info("pulled {}: {}, {:.1f} MiB in {} layers, {:.1f} s", reference_,
               id, MiB(progress_.size()), progress_.layers.size(),
               absl::ToDoubleSeconds(absl::Now() - start_));
}

}  // namespace serai::cri
