// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/metric_descriptors.h"

#include <initializer_list>
#include <utility>

namespace serai::cri {

namespace v1 = runtime::v1;

namespace {

struct Group {
  std::vector<const char*> labels;  // after the base ones
  std::vector<std::pair<const char*, const char*>> metrics;
};

const std::initializer_list<Group> kGroups = {
    {{},
     {
         {"container_cpu_cfs_periods_total",
          "Enforcement periods of the CPU limit that have passed."},
         {"container_cpu_cfs_throttled_periods_total",
          "Periods in which the container was held back by its CPU limit."},
         {"container_cpu_cfs_throttled_seconds_total",
          "Time for which the container was held back by its CPU limit."},
         {"container_cpu_system_seconds_total",
          "CPU time in the kernel, for the guest's devices."},
         {"container_cpu_usage_seconds_total", "CPU time."},
         {"container_cpu_user_seconds_total",
          "CPU time of the guest and its tender."},
         {"container_file_descriptors", "Open file descriptors of the tender."},
         {"container_last_seen", "When these numbers were taken."},
         {"container_memory_cache", "Page cache in bytes."},
         {"container_memory_failcnt",
          "How often the memory limit was reached."},
         {"container_memory_kernel_usage", "Memory of the kernel in bytes."},
         {"container_memory_mapped_file", "Mapped files in bytes."},
         {"container_memory_max_usage_bytes", "The most memory ever used."},
         {"container_memory_rss", "Anonymous memory in bytes."},
         {"container_memory_swap", "Swap in bytes."},
         {"container_memory_usage_bytes",
          "Memory in use, with the page cache."},
         {"container_memory_working_set_bytes",
          "Memory in use without what can be reclaimed at once."},
         {"container_oom_events_total",
          "Processes that were killed for want of memory."},
         {"container_pressure_cpu_stalled_seconds_total",
          "Time for which nothing ran for want of CPU."},
         {"container_pressure_cpu_waiting_seconds_total",
          "Time for which something waited for CPU."},
         {"container_pressure_io_stalled_seconds_total",
          "Time for which nothing ran as all waited for I/O."},
         {"container_pressure_io_waiting_seconds_total",
          "Time for which something waited for I/O."},
         {"container_pressure_memory_stalled_seconds_total",
          "Time for which nothing ran for want of memory."},
         {"container_pressure_memory_waiting_seconds_total",
          "Time for which something waited for memory."},
         {"container_processes", "Processes on the host: the tender."},
         {"container_sockets", "Open sockets of the tender."},
         {"container_spec_cpu_period",
          "Period of the CPU limit in "
          "microseconds."},
         {"container_spec_cpu_quota",
          "CPU time allowed in each period, in microseconds."},
         {"container_spec_cpu_shares", "Share of the CPU."},
         {"container_spec_memory_limit_bytes",
          "Memory limit of guest and tender together; 0: none."},
         {"container_spec_memory_reservation_limit_bytes",
          "Memory that is reserved; 0: none."},
         {"container_spec_memory_swap_limit_bytes", "Swap limit; 0: none."},
         {"container_start_time_seconds",
          "When the container was started, since the epoch."},
         {"container_threads", "Threads of the tender."},
         {"container_threads_max", "Limit of threads; 0: none."},
     }},
    {{"device"},
     {
         {"container_fs_inodes_free",
          "Free inodes of the file system that the image is on."},
         {"container_fs_inodes_total",
          "Inodes of the file system that the image is on."},
         {"container_fs_limit_bytes",
          "Size of the file system that the image is on."},
         {"container_fs_reads_bytes_total", "Bytes read of a disk."},
         {"container_fs_reads_total", "Reads of a disk."},
         {"container_fs_usage_bytes",
          "Bytes that the container has written to its image's file system: a "
          "unikernel writes none."},
         {"container_fs_writes_bytes_total", "Bytes written to a disk."},
         {"container_fs_writes_total", "Writes to a disk."},
     }},
    {{"device", "major", "minor", "operation"},
     {{"container_blkio_device_usage_total",
       "Bytes read of a disk, or written to it."}}},
    {{"failure_type", "scope"},
     {{"container_memory_failures_total", "Page faults, by type."}}},
    {{"interface"},
     {
         {"container_network_receive_bytes_total",
          "Bytes that the guest was given."},
         {"container_network_receive_errors_total",
          "Frames to the guest that failed."},
         {"container_network_receive_packets_dropped_total",
          "Frames to the guest that were dropped."},
         {"container_network_receive_packets_total",
          "Frames that the guest was given."},
         {"container_network_transmit_bytes_total",
          "Bytes that the guest has sent."},
         {"container_network_transmit_errors_total",
          "Frames from the guest that failed."},
         {"container_network_transmit_packets_dropped_total",
          "Frames from the guest that were dropped."},
         {"container_network_transmit_packets_total",
          "Frames that the guest has sent."},
     }},
    {{"ulimit"}, {{"container_ulimits_soft", "Soft limits of the tender."}}},
};

std::vector<v1::MetricDescriptor> Describe() {
  std::vector<v1::MetricDescriptor> all;
  for (const Group& group : kGroups) {
    for (const auto& [name, help] : group.metrics) {
      v1::MetricDescriptor& out = all.emplace_back();
      out.set_name(name);
      out.set_help(help);
      for (const char* label : kBaseLabels) out.add_label_keys(label);
      for (const char* label : group.labels) out.add_label_keys(label);
    }
  }
  return all;
}

}  // namespace

const std::vector<v1::MetricDescriptor>& MetricDescriptors() {
  static const auto& all = *new std::vector<v1::MetricDescriptor>(Describe());
  return all;
}

v1::Metric& MetricWriter::Add(const char* name, uint64_t value,
                              const std::vector<std::string>& more) {
  v1::Metric& metric = *out_->Add();
  metric.set_name(name);
  metric.set_timestamp(time_ns_);
  for (const std::string& label : base_) metric.add_label_values(label);
  for (const std::string& label : more) metric.add_label_values(label);
  metric.mutable_value()->set_value(value);
  return metric;
}

void MetricWriter::Counter(const char* name, uint64_t value,
                           const std::vector<std::string>& more) {
  Add(name, value, more).set_metric_type(v1::COUNTER);
}

void MetricWriter::Gauge(const char* name, uint64_t value,
                         const std::vector<std::string>& more) {
  Add(name, value, more).set_metric_type(v1::GAUGE);
}

}  // namespace serai::cri
