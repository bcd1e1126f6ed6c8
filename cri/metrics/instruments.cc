// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/instruments.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/counter.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace serai::cri {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using prometheus::Registry;

// Seconds. Status calls take tenths of a millisecond, sandboxes tens of
// milliseconds, pulls and graceful stops up to minutes.
const Histogram::BucketBoundaries kCallBuckets = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
const Histogram::BucketBoundaries kStepBuckets = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

Family<Histogram>& AddHistogram(Registry& registry, const char* name,
                                const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

class Instruments {
 public:
  // Lives as long as the process, whose threads may outlive main().
  static Instruments& Get() {
    static Instruments& instruments = *new Instruments();
    return instruments;
  }

  void CountCall(const char* method, absl::StatusCode code,
                 absl::Duration time) {
    CallHistogram(method, code).Observe(absl::ToDoubleSeconds(time));
  }

  void CountStep(Step step, bool ok, absl::Duration time) {
    steps_.at({step, ok})->Observe(absl::ToDoubleSeconds(time));
  }

  void CountGuestEnd(const std::string& reason) {
    ends_.Add({{"reason", reason}}).Increment();
  }

  std::vector<prometheus::MetricFamily> Collect() const {
    return registry_.Collect();
  }

 private:
  Instruments() {
    Family<Histogram>& cni = AddHistogram(
        registry_, "serai_cni_duration_seconds",
        "Time of the CNI plugin chain, by operation (add, del) and result.");
    AddStep(cni, Step::kCniAdd, {{"operation", "add"}});
    AddStep(cni, Step::kCniDel, {{"operation", "del"}});
    AddStep(AddHistogram(registry_, "serai_shim_start_duration_seconds",
                         "Time to start a pod's shim."),
            Step::kShimStart, {});
    AddStep(AddHistogram(registry_, "serai_guest_start_duration_seconds",
                         "Time to start a guest's tender."),
            Step::kGuestStart, {});
  }

  void AddStep(Family<Histogram>& family, Step step,
               std::map<std::string, std::string> labels) {
    for (const bool ok : {true, false}) {
      labels["result"] = ok ? "ok" : "error";
      steps_[{step, ok}] = &family.Add(labels, kStepBuckets);
    }
  }

  // Methods and codes are few; to make labels of them for each call is not
  // worth it.
  Histogram& CallHistogram(const char* method, absl::StatusCode code) {
    absl::MutexLock lock(&mutex_);
    Histogram*& histogram = by_call_[{method, code}];
    if (histogram == nullptr) {
      histogram = &calls_.Add(
          {{"method", method}, {"code", absl::StatusCodeToString(code)}},
          kCallBuckets);
    }
    return *histogram;
  }

  Registry registry_;
  Family<Histogram>& calls_ = AddHistogram(
      registry_, "serai_cri_request_duration_seconds",
      "Time to answer a call of the CRI, by method and gRPC code.");
  Family<Counter>& ends_ =
      prometheus::BuildCounter()
          .Name("serai_guest_ends_total")
          .Help(
              "Guests that have ended, by reason as a container's status "
              "has it.")
          .Register(registry_);
  // Complete from the start, and only read then.
  std::map<std::pair<Step, bool>, Histogram*> steps_;
  absl::Mutex mutex_;
  std::map<std::pair<const char*, absl::StatusCode>, Histogram*> by_call_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void CountCall(const char* method, absl::StatusCode code, absl::Duration time) {
  Instruments::Get().CountCall(method, code, time);
}

void CountStep(Step step, bool ok, absl::Duration time) {
  Instruments::Get().CountStep(step, ok, time);
}

void CountGuestEnd(const std::string& reason) {
  Instruments::Get().CountGuestEnd(reason);
}

std::vector<prometheus::MetricFamily> CollectInstruments() {
  return Instruments::Get().Collect();
}

}  // namespace serai::cri
