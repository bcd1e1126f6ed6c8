// SPDX-License-Identifier: Apache-2.0
#include "lib/host/bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace serai::host {
namespace {

constexpr size_t kLogSize = 64 * 1024;
constexpr size_t kLastWords = 400;
constexpr size_t kMaxMaps = 16;
// What no helper of the kernel's asks more of.
constexpr char kLicense[] = "Apache-2.0";

int64_t Bpf(bpf_cmd command, bpf_attr& attr) {
  return ::syscall(SYS_bpf, command, &attr, sizeof(attr));
}

template <typename T>
uint64_t Pointer(const T* to) {
  return reinterpret_cast<uintptr_t>(to);
}

absl::Status Failed(absl::string_view what) {
  if (errno == ENOSYS || errno == EPERM) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, ": ", std::strerror(errno),
        "; the kernel needs CONFIG_BPF_SYSCALL, and who asks CAP_BPF and "
        "CAP_NET_ADMIN"));
  }
  return ErrnoStatus(errno, what);
}

absl::Status SetName(const std::string& name, char (&to)[BPF_OBJ_NAME_LEN]) {
  if (name.size() >= sizeof(to)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is too long for a name of BPF's"));
  }
  name.copy(to, sizeof(to) - 1);
  return absl::OkStatus();
}

// Puts descriptors in place of the constants.
void Relocate(const std::map<uint64_t, int>& maps,
              std::vector<bpf_insn>& instructions) {
  for (size_t i = 0; i + 1 < instructions.size(); ++i) {
    bpf_insn& low = instructions[i];
    bpf_insn& high = instructions[i + 1];
    if (low.code != (BPF_LD | BPF_DW | BPF_IMM)) continue;
    const uint64_t constant = uint64_t{static_cast<uint32_t>(high.imm)} << 32 |
                              static_cast<uint32_t>(low.imm);
    const auto map = maps.find(constant);
    if (map == maps.end()) continue;
    low.src_reg = BPF_PSEUDO_MAP_FD;
    low.imm = map->second;
    high.imm = 0;
  }
}

absl::StatusOr<UniqueFd> OpenById(bpf_cmd command, uint32_t id,
                                  absl::string_view what) {
  bpf_attr attr = {};
  attr.map_id = id;  // the same place for all kinds
  UniqueFd fd(static_cast<int>(Bpf(command, attr)));
  if (!fd.valid()) return Failed(absl::StrCat(what, " ", id));
  return fd;
}

template <typename Info>
absl::Status ReadInfo(int fd, Info& info) {
  bpf_attr attr = {};
  attr.info.bpf_fd = static_cast<uint32_t>(fd);
  attr.info.info_len = sizeof(info);
  attr.info.info = Pointer(&info);
  if (Bpf(BPF_OBJ_GET_INFO_BY_FD, attr) != 0) return Failed("BPF info");
  return absl::OkStatus();
}

bpf_attr Element(int map, const void* key, const void* value) {
  bpf_attr attr = {};
  attr.map_fd = static_cast<uint32_t>(map);
  attr.key = Pointer(static_cast<const char*>(key));
  attr.value = Pointer(static_cast<const char*>(value));
  return attr;
}

}  // namespace

absl::StatusOr<UniqueFd> CreateBpfMap(const BpfMapSpec& spec) {
  bpf_attr attr = {};
  attr.map_type = spec.type;
  attr.key_size = spec.key_size;
  attr.value_size = spec.value_size;
  attr.max_entries = spec.max_entries;
  RETURN_IF_ERROR(SetName(spec.name, attr.map_name));
  UniqueFd map(static_cast<int>(Bpf(BPF_MAP_CREATE, attr)));
  if (!map.valid()) return Failed(absl::StrCat("making BPF map ", spec.name));
  return map;
}

absl::StatusOr<UniqueFd> LoadTcProgram(const std::string& name,
                                       std::vector<bpf_insn> instructions,
                                       const std::map<uint64_t, int>& maps) {
  Relocate(maps, instructions);
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attr.insn_cnt = static_cast<uint32_t>(instructions.size());
  attr.insns = Pointer(instructions.data());
  attr.license = Pointer(&kLicense[0]);
  RETURN_IF_ERROR(SetName(name, attr.prog_name));
  UniqueFd program(static_cast<int>(Bpf(BPF_PROG_LOAD, attr)));
  if (program.valid()) return program;
  if (errno == ENOSYS || errno == EPERM) {
    return Failed(absl::StrCat("loading BPF program ", name));
  }
  // Once more, for the reason.
  std::string log(kLogSize, '\0');
  attr.log_level = 1;
  attr.log_size = kLogSize;
  attr.log_buf = Pointer(log.data());
  program.reset(static_cast<int>(Bpf(BPF_PROG_LOAD, attr)));
  if (program.valid()) return program;
  const std::string said(log.c_str());
  return absl::InternalError(absl::StrCat(
      "loading BPF program ", name, ": ", std::strerror(errno), ": ",
      said.substr(said.size() - std::min(said.size(), kLastWords))));
}

absl::StatusOr<UniqueFd> OpenBpfProgram(uint32_t id) {
  return OpenById(BPF_PROG_GET_FD_BY_ID, id, "BPF program");
}

absl::StatusOr<std::map<std::string, UniqueFd>> MapsOfBpfProgram(int program) {
  uint32_t ids[kMaxMaps] = {};
  bpf_prog_info info = {};
  info.nr_map_ids = kMaxMaps;
  info.map_ids = Pointer(&ids[0]);
  RETURN_IF_ERROR(ReadInfo(program, info));
  std::map<std::string, UniqueFd> maps;
  for (size_t i = 0; i < std::min<size_t>(info.nr_map_ids, kMaxMaps); ++i) {
    ASSIGN_OR_RETURN(UniqueFd map,
                     OpenById(BPF_MAP_GET_FD_BY_ID, ids[i], "BPF map"));
    bpf_map_info about = {};
    RETURN_IF_ERROR(ReadInfo(map.get(), about));
    about.name[sizeof(about.name) - 1] = '\0';
    maps.emplace(about.name, std::move(map));
  }
  return maps;
}

absl::Status SetBpfEntry(int map, const void* key, const void* value) {
  bpf_attr attr = Element(map, key, value);
  if (Bpf(BPF_MAP_UPDATE_ELEM, attr) != 0) return Failed("setting a BPF entry");
  return absl::OkStatus();
}

absl::Status DeleteBpfEntry(int map, const void* key) {
  bpf_attr attr = Element(map, key, nullptr);
  if (Bpf(BPF_MAP_DELETE_ELEM, attr) != 0 && errno != ENOENT) {
    return Failed("deleting a BPF entry");
  }
  return absl::OkStatus();
}

absl::Status GetBpfEntry(int map, const void* key, void* value) {
  bpf_attr attr = Element(map, key, value);
  if (Bpf(BPF_MAP_LOOKUP_ELEM, attr) != 0) return Failed("a BPF entry");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> BpfKeys(int map, size_t key_size,
                                                 size_t max_entries) {
  std::vector<std::string> keys;
  std::string next(key_size, '\0');
  while (keys.size() < max_entries) {
    bpf_attr attr =
        Element(map, keys.empty() ? nullptr : keys.back().data(), nullptr);
    attr.next_key = Pointer(next.data());
    if (Bpf(BPF_MAP_GET_NEXT_KEY, attr) != 0) {
      if (errno == ENOENT) break;
      return Failed("the keys of a BPF map");
    }
    keys.push_back(next);
  }
  return keys;
}

}  // namespace serai::host
