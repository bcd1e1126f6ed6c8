// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

#include "bench/tender/measures.h"
#include "bench/tender/process.h"

namespace serai::bench {
namespace {

constexpr int kInstances = 10;

// A field of the process's smaps_rollup, in kB.
double FieldOf(pid_t pid, const std::string& field) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    if (line.rfind(field + ":", 0) == 0) {
      return std::stod(line.substr(field.size() + 1));
    }
  }
  Die("no " + field + " in smaps_rollup");
}

// What shared memory mapped by the process occupies, in kB: Solo5's hvt tender
// has its guest there, and what only the guest has touched is in nobody's PSS.
double SharedMemoryOf(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  std::ifstream maps(process + "/maps");
  double sum = 0;
  ino_t last = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" /dev/zero (deleted)") == std::string::npos) continue;
    const std::string range = line.substr(0, line.find(' '));
    struct stat status = {};
    if (::stat((process + "/map_files/" + range).c_str(), &status) != 0 ||
        status.st_ino == last) {
      continue;
    }
    last = status.st_ino;
    sum += static_cast<double>(status.st_blocks) / 2;
  }
  return sum;
}

}  // namespace

void MeasureMemory(const Setting& setting, const std::string& guest,
                   Table* table) {
  const std::string what = std::to_string(kInstances) + " idle " + guest;
  const Measure weight = {what + ": PSS of each, with all guest pages", "kB"};
  for (const Contestant& contestant : setting.contestants) {
    std::vector<std::unique_ptr<Process>> processes;
    for (int i = 0; i < kInstances; ++i) {
      processes.push_back(std::make_unique<Process>(
          contestant.Command(setting.guests, guest, {}, {"--idle"})));
    }
    for (const auto& process : processes) process->WaitForOutput("idle");
    ::usleep(200'000);
    for (const auto& process : processes) {
      const double own = FieldOf(process->pid(), "Pss");
      const double shared = FieldOf(process->pid(), "Pss_Shmem");
      const double pages = SharedMemoryOf(process->pid());
      table->Add(weight, contestant, own - shared + std::max(shared, pages));
    }
  }
}

}  // namespace serai::bench
