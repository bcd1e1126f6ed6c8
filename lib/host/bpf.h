// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bpf(2) system call, as far as tc programs with maps want it. Objects live
// as long as a descriptor or a user of theirs in the kernel. Needs root. Any
// thread.

#include <linux/bpf.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::host {

struct BpfMapSpec {
  bpf_map_type type;
  std::string name;  // 15 characters at most, by which it is found again
  uint32_t key_size;
  uint32_t value_size;
  uint32_t max_entries;
};

// FAILED_PRECONDITION, with what to configure, where the kernel can't.
absl::StatusOr<UniqueFd> CreateBpfMap(const BpfMapSpec& spec);

// Loads a program for tc. `maps`: descriptor by the 64-bit constant that stands
// for the map in the instructions. INTERNAL with the verifier's last words when
// the kernel does not take it.
absl::StatusOr<UniqueFd> LoadTcProgram(const std::string& name,
                                       std::vector<bpf_insn> instructions,
                                       const std::map<uint64_t, int>& maps);

// A loaded program by its id, and its maps by their names. NOT_FOUND when it is
// gone.
absl::StatusOr<UniqueFd> OpenBpfProgram(uint32_t id);
absl::StatusOr<std::map<std::string, UniqueFd>> MapsOfBpfProgram(int program);

// Of maps; keys and values have the sizes that the map was made with. Deleting
// what is not there is success.
absl::Status SetBpfEntry(int map, const void* key, const void* value);
absl::Status DeleteBpfEntry(int map, const void* key);
// NOT_FOUND when there is none.
absl::Status GetBpfEntry(int map, const void* key, void* value);
// All keys, each of `key_size` bytes; of a map that changes meanwhile, most.
absl::StatusOr<std::vector<std::string>> BpfKeys(int map, size_t key_size,
                                                 size_t max_entries);

}  // namespace serai::host
