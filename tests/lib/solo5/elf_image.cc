// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/solo5/elf_image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"

namespace serai::testing {
namespace {

using solo5::kPageSize;

template <typename T>
std::string Bytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

void PadTo(size_t multiple, std::string* text) {
  text->append((multiple - text->size() % multiple) % multiple, '\0');
}

std::string Note(uint32_t type, const std::string& descriptor, int lie) {
  Elf64_Nhdr header = {};
  header.n_namesz = sizeof(solo5::kNoteName);
  header.n_descsz =
      static_cast<uint32_t>(static_cast<int>(descriptor.size()) + lie);
  header.n_type = type;
  std::string name(solo5::kNoteName, sizeof(solo5::kNoteName));
  PadTo(4, &name);
  return Bytes(header) + name + descriptor;
}

std::string AbiNote(const ElfImage& image) {
  const solo5::AbiNote abi = {image.target, image.abi_version, {0, 0}};
  return Note(solo5::kAbiNoteType, Bytes(abi), image.abi_lie.descriptor);
}

std::string ManifestNote(const ElfImage& image) {
  solo5::ManifestEntry reserved = {};
  reserved.type = solo5::DeviceType::kReservedFirst;
  std::string entries = Bytes(reserved);
  for (const ElfImage::Device& device : image.devices) {
    solo5::ManifestEntry entry = {};
    device.name.copy(entry.name, sizeof(entry.name));
    entry.type = device.type;
    entries += Bytes(entry);
  }
  const auto count = static_cast<uint32_t>(
      static_cast<int>(image.devices.size()) + 1 + image.entry_count_lie);
  const std::string padding(
      solo5::kManifestNoteContentOffset - solo5::kNoteDescriptorOffset, '\0');
  return Note(solo5::kManifestNoteType,
              padding + Bytes(image.manifest_version) + Bytes(count) + entries,
              image.manifest_lie.descriptor);
}

Elf64_Phdr NoteHeader(const std::string& note, uint64_t offset, int lie) {
  Elf64_Phdr header = {};
  header.p_type = PT_NOTE;
  header.p_flags = PF_R;
  header.p_offset = offset;
  header.p_filesz =
      static_cast<uint64_t>(static_cast<int64_t>(note.size()) + lie);
  header.p_memsz = header.p_filesz;
  header.p_align = 8;
  return header;
}

Elf64_Phdr LoadHeader(const ElfImage::Load& load, uint64_t offset) {
  Elf64_Phdr header = {};
  header.p_type = PT_LOAD;
  header.p_flags = load.flags;
  header.p_offset = offset;
  header.p_vaddr = load.address;
  header.p_paddr = load.address;
  header.p_filesz = load.contents.size();
  header.p_memsz =
      load.memory_size == 0 ? load.contents.size() : load.memory_size;
  header.p_align = load.align;
  return header;
}

Elf64_Ehdr FileHeader(const ElfImage& image, size_t header_count) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = image.type;
  header.e_machine = image.machine;
  header.e_version = EV_CURRENT;
  header.e_entry = image.entry;
  header.e_phoff = sizeof(header);
  header.e_ehsize = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(header_count);
  return header;
}

}  // namespace

std::vector<ElfImage::Load> ElfImage::DefaultLoads() {
  return {
      {0x100000, PF_X, std::string(5000, '\x90')},
      {0x102000, PF_R, std::string(300, 'r')},
      // What a linker makes of an empty section.
      {0x0, PF_R, "", 0},
      {0x103000, PF_R | PF_W, std::string(700, 'w'), 900},
      // Zeroed data: nothing in the file.
      {0x104000, PF_R | PF_W, "", 0x250000},
  };
}

std::string ElfImage::Build() const {
  const size_t count =
      loads.size() + (has_abi_note ? 1 : 0) + (has_manifest_note ? 1 : 0);
  const size_t headers_size = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
  std::vector<Elf64_Phdr> headers;
  std::string body;  // what follows the headers
  const auto offset = [&] { return headers_size + body.size(); };
  if (has_manifest_note) {
    const std::string note = ManifestNote(*this);
    headers.push_back(NoteHeader(note, offset(), manifest_lie.segment));
    body += note;
  }
  if (has_abi_note) {
    const std::string note = AbiNote(*this);
    headers.push_back(NoteHeader(note, offset(), abi_lie.segment));
    body += note;
  }
  for (const Load& load : loads) {
    if (!load.contents.empty()) {
      body.append((kPageSize - offset() % kPageSize) % kPageSize, '\0');
    }
    headers.push_back(LoadHeader(load, offset()));
    body += load.contents;
  }
  std::string file = Bytes(FileHeader(*this, count));
  for (const Elf64_Phdr& header : headers) file += Bytes(header);
  return file + body;
}

UniqueFd FileWith(const std::string& contents) {
  UniqueFd fd(::memfd_create("serai-test", MFD_CLOEXEC));
  EXPECT_TRUE(fd.valid());
  EXPECT_EQ(::pwrite(fd.get(), contents.data(), contents.size(), 0),
            static_cast<ssize_t>(contents.size()));
  return fd;
}

}  // namespace serai::testing
