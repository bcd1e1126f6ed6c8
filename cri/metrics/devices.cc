// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/devices.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/metrics/families.h"
#include "lib/base/event.h"

namespace serai::cri {
namespace {

using prometheus::MetricFamily;

// What has come so far; shared with the shims' answers, which may come late.
struct Answers {
  absl::Mutex mutex;
  // The asking itself is one of them.
  size_t awaited ABSL_GUARDED_BY(mutex) = 1;
  serai::Event all_came;
  std::vector<std::pair<std::shared_ptr<Container>, std::vector<DeviceUse>>>
      given ABSL_GUARDED_BY(mutex);

  void OneLess() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (--awaited == 0) all_came.Notify();
  }
};

void Ask(const std::shared_ptr<Container>& container, Shim& shim,
         const std::shared_ptr<Answers>& answers) {
  {
    absl::MutexLock lock(&answers->mutex);
    ++answers->awaited;
  }
  shim.Devices(container->id, [container, answers](
                                  absl::StatusOr<std::vector<DeviceUse>> use) {
    container->devices_asked = false;
    absl::MutexLock lock(&answers->mutex);
    // A guest that has ended meanwhile has none.
    if (use.ok()) {
      answers->given.emplace_back(container, *std::move(use));
    }
    answers->OneLess();
  });
}

// The families of one type of device, in the order of DeviceUse's numbers.
struct DeviceFamilies {
  MetricFamily received;
  MetricFamily received_bytes;
  MetricFamily sent;
  MetricFamily sent_bytes;
  MetricFamily failed;

  void Add(const DeviceUse& use, const MetricLabels& labels) {
    const auto add = [&labels](MetricFamily& family, uint64_t value) {
      AddSample(family, static_cast<double>(value), labels);
    };
    add(received, use.received);
    add(received_bytes, use.received_bytes);
    add(sent, use.sent);
    add(sent_bytes, use.sent_bytes);
    add(failed, use.failed);
  }

  void MoveTo(std::vector<MetricFamily>& out) {
    for (MetricFamily* family :
         {&received, &received_bytes, &sent, &sent_bytes, &failed}) {
      out.push_back(std::move(*family));
    }
  }
};

DeviceFamilies NetFamilies() {
  return {CounterFamily("serai_guest_net_receive_frames_total",
                        "Frames that a guest's net device has given it."),
          CounterFamily("serai_guest_net_receive_bytes_total",
                        "Bytes that a guest's net device has given it."),
          CounterFamily("serai_guest_net_transmit_frames_total",
                        "Frames that a guest's net device took from it."),
          CounterFamily("serai_guest_net_transmit_bytes_total",
                        "Bytes that a guest's net device took from it."),
          CounterFamily("serai_guest_net_dropped_frames_total",
                        "Frames from or to a guest that were dropped.")};
}

DeviceFamilies BlockFamilies() {
  return {CounterFamily("serai_guest_block_reads_total",
                        "Reads of a guest's block device."),
          CounterFamily("serai_guest_block_read_bytes_total",
                        "Bytes read of a guest's block device."),
          CounterFamily("serai_guest_block_writes_total",
                        "Writes to a guest's block device."),
          CounterFamily("serai_guest_block_written_bytes_total",
                        "Bytes written to a guest's block device."),
          CounterFamily("serai_guest_block_failures_total",
                        "Reads and writes of a guest's block device that "
                        "failed.")};
}

}  // namespace

void DeviceCollector::Collect(absl::Duration patience,
                              std::vector<MetricFamily>& out) const {
  const auto answers = std::make_shared<Answers>();
  size_t silent = 0;
  for (const auto& container : store_.Containers()) {
    if (PhaseOf(*container->record.Read()) != ContainerPhase::kRunning)
      continue;
    const auto pod = store_.FindPod(container->pod_id);
    const auto shim = pod.ok() ? (*pod)->shim() : nullptr;
    if (shim == nullptr) continue;
    if (container->devices_asked.exchange(true)) {
      ++silent;
    } else {
      Ask(container, *shim, answers);
    }
  }
  DeviceFamilies net = NetFamilies();
  DeviceFamilies block = BlockFamilies();
  {
    absl::MutexLock lock(&answers->mutex);
    answers->OneLess();
  }
  answers->all_came.WaitForNotificationWithTimeout(patience);
  {
    absl::MutexLock lock(&answers->mutex);
    silent += answers->awaited;
    for (const auto& [container, devices] : answers->given) {
      const ContainerRecord record = container->record.Get();
      const auto pod = store_.FindPod(record.pod_id());
      if (!pod.ok()) continue;
      const auto metadata = (*pod)->record.Get().config().metadata();
      for (const DeviceUse& use : devices) {
        (use.is_net ? net : block)
            .Add(use, {{"namespace", metadata.namespace_()},
                       {"pod", metadata.name()},
                       {"uid", metadata.uid()},
                       {"container", record.config().metadata().name()},
                       {"device", use.name}});
      }
    }
  }
  net.MoveTo(out);
  block.MoveTo(out);
  MetricFamily missing = GaugeFamily(
      "serai_scrape_missing_guests",
      "Running guests whose shim did not tell of their devices in time.");
  AddSample(missing, static_cast<double>(silent));
  out.push_back(std::move(missing));
}

}  // namespace serai::cri
