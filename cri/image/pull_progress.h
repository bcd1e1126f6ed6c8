// SPDX-License-Identifier: Apache-2.0
#pragma once

// How far a pull is, for whoever waits for it: the log, and `serai pull`.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/oci/manifest.h"

namespace serai::cri {

enum class PullStage { kResolving, kDownloading, kUnpacking };

struct BlobProgress {
  oci::Digest digest;
  int64_t size = 0;      // bytes
  int64_t received = 0;  // of them; all when it was here already
};

struct PullProgress {
  PullStage stage = PullStage::kResolving;
  std::vector<BlobProgress> layers;  // the lowest first
  int64_t bytes_per_second = 0;

  int64_t received() const;
  int64_t size() const;
};

// Called on the pull's thread, a few times a second at most, and at each change
// of the stage.
using PullObserver = std::function<void(const PullProgress&)>;

// Follows one pull; tells the log every few seconds. One thread.
class ProgressReporter {
 public:
  ProgressReporter(std::string reference, PullObserver observer);

  // Downloading begins.
  void SetLayers(const std::vector<oci::Descriptor>& layers);
  void SetReceived(const oci::Digest& digest, int64_t received);
  void SetStage(PullStage stage);
  // To be called often; reports when it is time to.
  void Tick();
  // The pull has ended well. Says so in the log.
  void Finish(const std::string& id);

 private:
  void Measure(absl::Time now);
  void Log() const;

  const std::string reference_;
  const PullObserver observer_;
  const absl::Time start_;
  PullProgress progress_;
  absl::Time told_;
  absl::Time logged_;
  absl::Time measured_;
  int64_t measured_bytes_ = 0;
};

}  // namespace serai::cri
