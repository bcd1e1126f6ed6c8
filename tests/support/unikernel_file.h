// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of a small Solo5 ELF file: enough to be read, not to be run. For
// tests of what handles unikernels as files.

#include <elf.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "lib/solo5/abi.h"

namespace serai::testing {

struct UnikernelFile {
  solo5::Target target = solo5::Target::kHvt;
  uint32_t abi_version = solo5::kNewestAbi;
  uint16_t machine = EM_X86_64;
  std::vector<std::pair<std::string, solo5::DeviceType>> devices;
  // Makes files that differ.
  std::string text = "text";

  std::string Bytes() const;
};

namespace internal {

template <typename T>
std::string RawBytes(const T& value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::string Solo5Note(uint32_t type, size_t content_offset,
                             const std::string& content) {
  const size_t padding = content_offset - solo5::kNoteDescriptorOffset;
  std::string note = RawBytes(uint32_t{sizeof(solo5::kNoteName)}) +
                     RawBytes(static_cast<uint32_t>(padding + content.size())) +
                     RawBytes(type) +
                     std::string(solo5::kNoteName, sizeof(solo5::kNoteName));
  note.resize(content_offset, '\0');
  return note + content;
}

inline std::string ManifestContent(
    const std::vector<std::pair<std::string, solo5::DeviceType>>& devices) {
  std::string content = RawBytes(solo5::kManifestVersion) +
                        RawBytes(static_cast<uint32_t>(devices.size() + 1));
  solo5::ManifestEntry first = {};
  first.type = solo5::DeviceType::kReservedFirst;
  content += RawBytes(first);
  for (const auto& [name, type] : devices) {
    solo5::ManifestEntry entry = {};
    name.copy(entry.name, sizeof(entry.name) - 1);
    entry.type = type;
    content += RawBytes(entry);
  }
  return content;
}

}  // namespace internal

inline std::string UnikernelFile::Bytes() const {
  constexpr uint64_t kAddress = 0x100000;
  constexpr uint64_t kTextOffset = 0x1000;
  const solo5::AbiNote abi = {
      static_cast<uint32_t>(target), abi_version, {0, 0}};
  const std::string notes[] = {
      internal::Solo5Note(solo5::kAbiNoteType, solo5::kAbiNoteContentOffset,
                          internal::RawBytes(abi)),
      internal::Solo5Note(solo5::kManifestNoteType,
                          solo5::kManifestNoteContentOffset,
                          internal::ManifestContent(devices))};
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_entry = kAddress;
  header.e_phoff = sizeof(header);
  header.e_ehsize = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 3;
  std::string file = internal::RawBytes(header);
  uint64_t offset = sizeof(header) + 3 * sizeof(Elf64_Phdr);
  for (const std::string& note : notes) {
    Elf64_Phdr part = {};
    part.p_type = PT_NOTE;
    part.p_flags = PF_R;
    part.p_offset = offset;
    part.p_filesz = part.p_memsz = note.size();
    part.p_align = 8;
    offset += note.size();
    file += internal::RawBytes(part);
  }
  Elf64_Phdr load = {};
  load.p_type = PT_LOAD;
  load.p_flags = PF_X;
  load.p_offset = kTextOffset;
  load.p_vaddr = load.p_paddr = kAddress;
  load.p_filesz = load.p_memsz = text.size();
  load.p_align = 0x1000;
  file += internal::RawBytes(load) + notes[0] + notes[1];
  file.resize(kTextOffset, '\0');
  return file + text;
}

}  // namespace serai::testing
