// SPDX-License-Identifier: Apache-2.0
#include "lib/solo5/unikernel.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <optional>

#include "lib/solo5/internal.h"

namespace serai::solo5 {
namespace internal {

bool Fail(Error* error, Problem problem, const char* format, ...) {
  error->problem = problem;
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  return false;
}

namespace {

// How much of [offset, offset + size) could be read; -1 with errno.
ssize_t ReadUpTo(int fd, uint64_t offset, void* out, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, static_cast<char*>(out) + done, size - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

bool ReadExactly(int fd, uint64_t offset, void* out, size_t size,
                 const char* what, Error* error) {
  const ssize_t n = ReadUpTo(fd, offset, out, size);
  if (n < 0) {
    return Fail(error, Problem::kIo, "reading the %s: %s", what,
                std::strerror(errno));
  }
  if (static_cast<size_t>(n) != size) {
    return Fail(error, Problem::kDamaged,
                "truncated: the %s needs %zu bytes at %#llx, the file has %zd",
                what, size, static_cast<unsigned long long>(offset), n);
  }
  return true;
}

}  // namespace internal

namespace {

using internal::Fail;
using internal::Note;
using internal::ReadExactly;

// A unikernel has about ten; an ordinary program rarely more than fifteen.
constexpr size_t kMaxProgramHeaders = 64;

// Room for guest addresses of any machine; keeps every sum far from overflow.
constexpr uint64_t kMaxAddress = uint64_t{1} << 46;

#if defined(__x86_64__)
constexpr Elf64_Half kHostMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kHostMachine = EM_AARCH64;
#else
#error "serai_solo5 knows x86_64 and aarch64 only"
#endif

const char* MachineName(Elf64_Half machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86_64";
    case EM_AARCH64:
      return "aarch64";
    case EM_PPC64:
      return "ppc64";
    default:
      return "another machine";
  }
}

constexpr uint64_t RoundUp(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

// Both terms are checked to be at most kMaxAddress.
constexpr bool FitsIn(uint64_t offset, uint64_t size, uint64_t total) {
  return offset <= total && size <= total - offset;
}

class Reader {
 public:
  Reader(int fd, Unikernel* unikernel, Error* error)
      : fd_(fd), unikernel_(unikernel), error_(error) {}

  bool Read() {
    return ReadElfHeader() && ReadProgramHeaders() && FindNotes() &&
           CheckHeader() && ReadAbi() && ReadSegments() && CheckEntry() &&
           ReadDevices();
  }

 private:
  // What keeps a file from being ELF64 of our byte order is no damage: most
  // files are something else.
  bool ReadElfHeader();
  bool ReadProgramHeaders();
  bool FindNotes();
  bool ReadNote(const Elf64_Phdr& header);
  bool CheckHeader();
  bool ReadAbi();
  bool ReadSegments();
  bool AddSegment(const Elf64_Phdr& header, size_t index);
  bool CheckEntry();
  bool ReadDevices();

  const int fd_;
  Unikernel* const unikernel_;
  Error* const error_;
  uint64_t file_size_ = 0;
  Elf64_Ehdr elf_ = {};
  size_t header_count_ = 0;
  std::array<Elf64_Phdr, kMaxProgramHeaders> headers_;
  std::optional<Note> abi_;
  std::optional<Note> manifest_;
};

bool Reader::ReadElfHeader() {
  struct stat info;
  if (::fstat(fd_, &info) != 0) {
    return Fail(error_, Problem::kIo, "fstat: %s", std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return Fail(error_, Problem::kIo, "not a regular file");
  }
  file_size_ = static_cast<uint64_t>(info.st_size);
  const ssize_t n = internal::ReadUpTo(fd_, 0, &elf_, sizeof(elf_));
  if (n < 0) {
    return Fail(error_, Problem::kIo, "reading the ELF header: %s",
                std::strerror(errno));
  }
  if (static_cast<size_t>(n) != sizeof(elf_) ||
      std::memcmp(elf_.e_ident, ELFMAG, SELFMAG) != 0) {
    return Fail(error_, Problem::kNotSolo5, "not an ELF file");
  }
  if (elf_.e_ident[EI_CLASS] != ELFCLASS64 ||
      elf_.e_ident[EI_DATA] != ELFDATA2LSB) {
    return Fail(error_, Problem::kNotSolo5,
                "not a 64-bit little-endian ELF file");
  }
  return true;
}

bool Reader::ReadProgramHeaders() {
  if (elf_.e_phnum == 0 || elf_.e_phentsize != sizeof(Elf64_Phdr)) {
    return Fail(error_, Problem::kNotSolo5,
                "no Solo5 ABI note: the ELF file has no program headers");
  }
  header_count_ = std::min<size_t>(elf_.e_phnum, kMaxProgramHeaders);
  const size_t size = header_count_ * sizeof(Elf64_Phdr);
  // Without them nothing tells what the file is, so it is nobody's damage.
  if (!FitsIn(elf_.e_phoff, size, file_size_)) {
    return Fail(error_, Problem::kNotSolo5,
                "no Solo5 ABI note: the ELF file ends before its program "
                "headers");
  }
  return ReadExactly(fd_, elf_.e_phoff, headers_.data(), size,
                     "program headers", error_);
}

bool Reader::FindNotes() {
  for (size_t i = 0; i < header_count_; ++i) {
    if (headers_[i].p_type == PT_NOTE && !ReadNote(headers_[i])) return false;
  }
  if (!abi_) {
    return Fail(error_, Problem::kNotSolo5,
                "no Solo5 ABI note: an ELF file of another kind");
  }
  return true;
}

// Only the first note of a segment counts. What is not Solo5's is skipped, also
// when it is broken.
bool Reader::ReadNote(const Elf64_Phdr& header) {
  struct {
    Elf64_Nhdr header;
    char name[kNoteDescriptorOffset - kNoteHeaderSize];
  } start;
  static_assert(sizeof(start) == kNoteDescriptorOffset);
  if (header.p_filesz < sizeof(start) ||
      !FitsIn(header.p_offset, sizeof(start), file_size_)) {
    return true;
  }
  if (!ReadExactly(fd_, header.p_offset, &start, sizeof(start), "note header",
                   error_)) {
    return false;
  }
  if (start.header.n_namesz != sizeof(kNoteName) ||
      std::memcmp(start.name, kNoteName, sizeof(kNoteName)) != 0) {
    return true;
  }
  const bool is_abi = start.header.n_type == kAbiNoteType;
  if (!is_abi && start.header.n_type != kManifestNoteType) return true;
  std::optional<Note>& note = is_abi ? abi_ : manifest_;
  if (note) {
    return Fail(error_, Problem::kDamaged, "two %s notes; one is needed",
                is_abi ? "ABI" : "manifest");
  }
  note = {start.header.n_type, start.header.n_descsz, header.p_offset,
          header.p_filesz};
  return true;
}

bool CheckNoteSize(const Note& note, const char* name, size_t max,
                   Error* error) {
  if (note.descriptor_size == 0 || note.descriptor_size > max) {
    return Fail(error, Problem::kDamaged,
                "%s note does not fall within valid size: says %u bytes, must "
                "be 1 to %zu",
                name, note.descriptor_size, max);
  }
  const uint64_t room = note.segment_size - kNoteDescriptorOffset;
  if (note.descriptor_size > room) {
    return Fail(error, Problem::kDamaged,
                "%s note does not fall within valid size: says %u bytes, "
                "segment has %llu",
                name, note.descriptor_size,
                static_cast<unsigned long long>(room));
  }
  return true;
}

bool Reader::CheckHeader() {
  if (elf_.e_machine != kHostMachine) {
    return Fail(error_, Problem::kUnsupported, "built for %s, this node is %s",
                MachineName(elf_.e_machine), MachineName(kHostMachine));
  }
  if (elf_.e_type != ET_EXEC) {
    return Fail(error_, Problem::kDamaged,
                "ELF type is %u; a fixed-address executable (%u) is needed",
                elf_.e_type, ET_EXEC);
  }
  if (elf_.e_version != EV_CURRENT || elf_.e_ehsize != sizeof(Elf64_Ehdr)) {
    return Fail(error_, Problem::kDamaged,
                "ELF header: version %u and size %u; must be %u and %zu",
                elf_.e_version, elf_.e_ehsize, EV_CURRENT, sizeof(Elf64_Ehdr));
  }
  if (elf_.e_phnum > kMaxProgramHeaders) {
    return Fail(error_, Problem::kDamaged,
                "%u program headers; at most %zu can be loaded", elf_.e_phnum,
                kMaxProgramHeaders);
  }
  return true;
}

bool Reader::ReadAbi() {
  if (!CheckNoteSize(*abi_, "ABI", kMaxAbiNoteDescriptor, error_)) return false;
  AbiNote abi;
  if (abi_->descriptor_size < sizeof(abi)) {
    return Fail(error_, Problem::kDamaged,
                "ABI note does not fall within valid size: says %u bytes, at "
                "least %zu are needed",
                abi_->descriptor_size, sizeof(abi));
  }
  if (!ReadExactly(fd_, abi_->file_offset + kAbiNoteContentOffset, &abi,
                   sizeof(abi), "ABI note", error_)) {
    return false;
  }
  unikernel_->target = static_cast<Target>(abi.target);
  unikernel_->abi_version = abi.version;
  if (unikernel_->target != Target::kHvt &&
      unikernel_->target != Target::kSpt) {
    return Fail(error_, Problem::kUnsupported,
                "target is %s (%u); hvt or spt is needed",
                TargetName(unikernel_->target), abi.target);
  }
  if (abi.version < kOldestAbi || abi.version > kNewestAbi) {
    return Fail(error_, Problem::kUnsupported,
                "unsupported ABI version %u of %s; %u to %u can be run",
                abi.version, TargetName(unikernel_->target), kOldestAbi,
                kNewestAbi);
  }
  return true;
}

bool Reader::ReadSegments() {
  unikernel_->segment_count = 0;
  unikernel_->kernel_end = kMinLoadAddress;
  uint64_t lowest = kMinLoadAddress;
  for (size_t i = 0; i < header_count_; ++i) {
    const Elf64_Phdr& header = headers_[i];
    if (header.p_type != PT_LOAD) continue;
    if (!FitsIn(header.p_vaddr, header.p_memsz, kMaxAddress)) {
      return Fail(error_, Problem::kDamaged,
                  "segment %zu: %#llx bytes at %#llx are beyond any memory", i,
                  static_cast<unsigned long long>(header.p_memsz),
                  static_cast<unsigned long long>(header.p_vaddr));
    }
    lowest = std::max(lowest, header.p_vaddr + header.p_memsz);
    // Nothing to load: zeroed data, which fresh memory is already. A real file
    // has an empty one at address 0, too.
    if (header.p_filesz == 0) continue;
    if (!AddSegment(header, i)) return false;
  }
  if (unikernel_->segment_count == 0) {
    return Fail(error_, Problem::kDamaged, "nothing to load");
  }
  const bool hvt = unikernel_->target == Target::kHvt;
  unikernel_->lowest_memory = RoundUp(std::max(lowest, unikernel_->kernel_end),
                                      hvt ? kHvtLargePage : uint64_t{1} << 20);
  if (hvt && unikernel_->lowest_memory > kHvtMaxMemory) {
    return Fail(
        error_, Problem::kDamaged,
        "needs %llu MiB of memory; a guest can have at most %llu",
        static_cast<unsigned long long>(unikernel_->lowest_memory >> 20),
        static_cast<unsigned long long>(kHvtMaxMemory >> 20));
  }
  return true;
}

bool Reader::AddSegment(const Elf64_Phdr& header, size_t index) {
  const auto fail = [&](const char* reason) {
    return Fail(error_, Problem::kDamaged,
                "segment %zu (%#llx bytes at %#llx): %s", index,
                static_cast<unsigned long long>(header.p_memsz),
                static_cast<unsigned long long>(header.p_vaddr), reason);
  };
  if (unikernel_->segment_count == kMaxSegments) {
    static_assert(kMaxSegments == 16);
    return fail("one too many; at most 16 can be loaded");
  }
  if (!FitsIn(header.p_offset, header.p_filesz, file_size_)) {
    return fail("the file ends before its contents do");
  }
  if (header.p_memsz < header.p_filesz) {
    return fail("is smaller in memory than in the file");
  }
  if (header.p_align == 0 || (header.p_align & (header.p_align - 1)) != 0) {
    return fail("alignment is not a power of two");
  }
  if ((header.p_flags & PF_W) != 0 && (header.p_flags & PF_X) != 0) {
    return fail("is both writable and executable");
  }
  Segment segment = {};
  segment.file_offset = header.p_offset;
  segment.address = header.p_vaddr;
  segment.file_size = header.p_filesz;
  segment.memory_size = header.p_memsz;
  segment.readable = (header.p_flags & PF_R) != 0;
  segment.writable = (header.p_flags & PF_W) != 0;
  segment.executable = (header.p_flags & PF_X) != 0;
  // The alignment wanted may be larger than a page; what lies below the
  // segment up to that boundary is then nobody else's.
  if ((header.p_vaddr & ~(header.p_align - 1)) < kMinLoadAddress ||
      segment.PageStart() < kMinLoadAddress) {
    return fail("starts below 0x100000, the lowest load address");
  }
  if (segment.PageStart() < unikernel_->kernel_end) {
    return fail("overlaps the one before it, or is out of order");
  }
  unikernel_->kernel_end = segment.PageEnd();
  unikernel_->segments[unikernel_->segment_count++] = segment;
  return true;
}

bool Reader::CheckEntry() {
  for (const Segment& segment : unikernel_->LoadedSegments()) {
    if (segment.executable && elf_.e_entry >= segment.address &&
        elf_.e_entry - segment.address < segment.memory_size) {
      unikernel_->entry = elf_.e_entry;
      return true;
    }
  }
  return Fail(error_, Problem::kDamaged,
              "entry point %#llx is in no executable segment",
              static_cast<unsigned long long>(elf_.e_entry));
}

bool Reader::ReadDevices() {
  if (!manifest_) {
    return Fail(error_, Problem::kDamaged,
                "no Solo5 manifest note beside the ABI note");
  }
  return CheckNoteSize(*manifest_, "manifest", kMaxManifestNoteDescriptor,
                       error_) &&
         internal::ReadManifest(fd_, *manifest_, &unikernel_->manifest, error_);
}

}  // namespace

bool ReadUnikernel(int fd, Unikernel* unikernel, Error* error) {
  *error = Error();
  return Reader(fd, unikernel, error).Read();
}

const char* TargetName(Target target) {
  switch (target) {
    case Target::kHvt:
      return "hvt";
    case Target::kSpt:
      return "spt";
    case Target::kVirtio:
      return "virtio";
    case Target::kMuen:
      return "muen";
    case Target::kGenode:
      return "genode";
    case Target::kXen:
      return "xen";
  }
  return "unknown";
}

const char* DeviceTypeName(DeviceType type) {
  switch (type) {
    case DeviceType::kBlock:
      return "BLOCK_BASIC";
    case DeviceType::kNet:
      return "NET_BASIC";
    case DeviceType::kReservedFirst:
      break;
  }
  return "unknown";
}

}  // namespace serai::solo5
