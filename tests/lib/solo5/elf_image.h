// SPDX-License-Identifier: Apache-2.0
#pragma once

// Solo5 ELF files for tests, made from a description: well-formed unless a test
// says otherwise.

#include <elf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/solo5/abi.h"

namespace serai::testing {

struct ElfImage {
  struct Load {
    uint64_t address = 0;
    uint32_t flags = PF_R;
    std::string contents;
    uint64_t memory_size = 0;  // 0: as large as the contents
    uint64_t align = solo5::kPageSize;
  };
  struct Device {
    std::string name;
    solo5::DeviceType type = solo5::DeviceType::kNet;
  };
  // A note's descriptor size is what its content needs plus this.
  struct Lie {
    int descriptor = 0;
    int segment = 0;
  };

  uint16_t machine = EM_X86_64;
  uint16_t type = ET_EXEC;
  uint64_t entry = 0x100020;
  uint32_t target = static_cast<uint32_t>(solo5::Target::kHvt);
  uint32_t abi_version = 2;
  bool has_abi_note = true;
  bool has_manifest_note = true;
  Lie abi_lie;
  Lie manifest_lie;
  uint32_t manifest_version = 1;
  int entry_count_lie = 0;
  std::vector<Device> devices = {{"service", solo5::DeviceType::kNet},
                                 {"storage", solo5::DeviceType::kBlock}};
  std::vector<Load> loads = DefaultLoads();

  static std::vector<Load> DefaultLoads();

  // Headers first, then the notes, then each segment at the next page.
  std::string Build() const;
};

// An anonymous file that holds `contents`.
UniqueFd FileWith(const std::string& contents);

}  // namespace serai::testing
