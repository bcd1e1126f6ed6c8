// SPDX-License-Identifier: Apache-2.0
#include "bench/tender/measures.h"
#include "bench/tender/process.h"

namespace serai::bench {
namespace {

double Faults(const Process& process) {
  return static_cast<double>(process.usage().ru_minflt +
                             process.usage().ru_majflt);
}

}  // namespace

void MeasureStart(const Setting& setting, const std::string& guest,
                  const std::string& floor, Table* table) {
  const Measure output = {guest + ": exec to first output", "ms"};
  const Measure end = {guest + ": exec to exit", "ms"};
  const Measure faults = {guest + ": page faults", "count"};
  const Contestant nothing = {"", "an empty static program", floor, {}, false};
  for (int round = -1; round < setting.start_rounds; ++round) {
    const bool warm_up = round < 0;
    for (const Contestant& contestant : setting.contestants) {
      Process process(contestant.Command(setting.guests, guest, {}, {}));
      const double first = process.WaitForAnyOutput();
      const double last = process.WaitForEnd();
      if (warm_up) continue;
      table->Add(output, contestant, first * 1000);
      table->Add(end, contestant, last * 1000);
      table->Add(faults, contestant, Faults(process));
    }
    Process process({floor});
    const double last = process.WaitForEnd();
    if (warm_up) continue;
    table->Add(end, nothing, last * 1000);
    table->Add(faults, nothing, Faults(process));
  }
}

}  // namespace serai::bench
