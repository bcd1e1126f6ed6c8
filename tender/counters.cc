// SPDX-License-Identifier: Apache-2.0
#include "tender/counters.h"

#include <string_view>

namespace serai::tender {
namespace {

struct Field {
  std::string_view name;
  uint64_t value;
};

void AddFields(std::span<const Field> fields, Line* line) {
  for (const Field& field : fields) {
    if (&field != fields.data()) line->Text(",");
    line->Quoted(field.name).Text(":").Number(field.value);
  }
}

void AddDevice(const solo5::ManifestEntry& entry,
               const DeviceCounters& counters, Line* line) {
  const Field fields[] = {{"reads", counters.reads},
                          {"bytes_read", counters.bytes_read},
                          {"writes", counters.writes},
                          {"bytes_written", counters.bytes_written},
                          {"refused", counters.refused}};
  line->Text("{\"name\":").Quoted(entry.name).Text(",");
  AddFields(fields, line);
  line->Text("}");
}

}  // namespace

void AddCounters(const Counters& counters, const solo5::Manifest& manifest,
                 Line* line) {
  const Field fields[] = {{"exits", counters.exits},
                          {"traps", counters.traps},
                          {"emulated", counters.emulated},
                          {"exceptions", counters.exceptions},
                          {"kicks", counters.kicks},
                          {"console_bytes", counters.console_bytes},
                          {"console_lost", counters.console_lost}};
  const auto& calls = counters.hypercalls;
  const Field hypercalls[] = {
      {"walltime", calls[1]},   {"puts", calls[2]},
      {"poll", calls[3]},       {"block_write", calls[4]},
      {"block_read", calls[5]}, {"net_write", calls[6]},
      {"net_read", calls[7]},   {"halt", calls[8]}};
  line->Text("{\"stats\":{");
  AddFields(fields, line);
  line->Text(",\"hypercalls\":{");
  AddFields(hypercalls, line);
  line->Text("},\"devices\":[");
  for (size_t i = 1; i < manifest.entry_count; ++i) {
    if (i > 1) line->Text(",");
    AddDevice(manifest.entries[i], counters.devices[i], line);
  }
  line->Text("]}}\n");
}

}  // namespace serai::tender
