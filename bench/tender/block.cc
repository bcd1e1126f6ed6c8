// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>

#include "bench/tender/measures.h"
#include "bench/tender/process.h"

namespace serai::bench {
namespace {

// Small enough for the processor's caches: the tender is measured, not memory.
constexpr off_t kDeviceSize = 1 << 20;

// Blocks each second.
double Rate(const Setting& setting, const Contestant& contestant,
            const std::string& device, int block_size, const std::string& how) {
  const int blocks = contestant.target == "spt" ? 1'000'000 : 20'000;
  Process process(contestant.Command(
      setting.guests, "blockrate",
      {"--block:storage=" + device,
       "--block-sector-size:storage=" + std::to_string(block_size)},
      {"--how=" + how, "--blocks=" + std::to_string(blocks)}));
  const double begin = process.WaitForOutput("begin");
  const double end = process.WaitForOutput("end");
  process.WaitForEnd();
  return blocks / (end - begin);
}

}  // namespace

void MeasureBlock(const Setting& setting, Table* table) {
  // Lives as long as this process does.
  const UniqueFd file(::memfd_create("device", MFD_CLOEXEC));
  if (::ftruncate(file.get(), kDeviceSize) != 0) Die("ftruncate");
  const std::string device = "/proc/" + std::to_string(::getpid()) + "/fd/" +
                             std::to_string(file.get());
  for (const int block_size : {512, 4096}) {
    for (const std::string how : {"write", "read"}) {
      const Measure measure = {
          "block " + how + ", " + std::to_string(block_size) + " bytes",
          "blocks/s", Better::kHigher};
      for (int round = 0; round < setting.load_rounds; ++round) {
        for (const Contestant& contestant : setting.contestants) {
          table->Add(measure, contestant,
                     Rate(setting, contestant, device, block_size, how));
        }
      }
    }
  }
}

}  // namespace serai::bench
