// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/core_file.h"

#include <elf.h>
#include <signal.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <algorithm>
#include <cstring>

namespace serai::tender::hvt {
namespace {

using solo5::Segment;

constexpr std::string_view kNoteName("CORE\0", 5);

constexpr size_t RoundUp4(size_t size) { return (size + 3) & ~size_t{3}; }

// What is put into the header, from its beginning on; it all fits a page.
class Writer {
 public:
  explicit Writer(uint8_t* at) : at_(at) {}

  size_t size() const { return size_; }
  template <typename T>
  void Put(const T& value) {
    PutBytes(&value, sizeof(value));
  }
  template <typename T>
  void PutNote(uint32_t type, const T& value) {
    Elf64_Nhdr note = {};
    note.n_namesz = kNoteName.size();
    note.n_descsz = sizeof(value);
    note.n_type = type;
    Put(note);
    PutBytes(kNoteName.data(), kNoteName.size());
    PutBytes(&value, sizeof(value));
  }

 private:
  void PutBytes(const void* from, size_t size) {
    std::memcpy(at_ + size_, from, size);
    size_ += RoundUp4(size);
  }

  uint8_t* at_;
  size_t size_ = 0;
};

template <typename T>
constexpr size_t NoteSize() {
  return sizeof(Elf64_Nhdr) + RoundUp4(kNoteName.size()) + RoundUp4(sizeof(T));
}
constexpr size_t kNotesSize = NoteSize<elf_prstatus>() +
                              NoteSize<elf_prpsinfo>() +
                              NoteSize<user_fpregs_struct>();
static_assert(sizeof(Elf64_Ehdr) + (1 + kMaxCoreRanges) * sizeof(Elf64_Phdr) +
                  kNotesSize <=
              kCoreHeaderSize);

template <size_t Size>
void CopyText(std::string_view text, char (&to)[Size]) {
  std::copy_n(text.data(), std::min(text.size(), Size - 1), to);
}

elf_prstatus StatusOf(const CoreState& state) {
  const kvm_regs& regs = state.regs;
  const kvm_sregs& sregs = state.sregs;
  user_regs_struct user = {};
  user.r15 = regs.r15;
  user.r14 = regs.r14;
  user.r13 = regs.r13;
  user.r12 = regs.r12;
  user.rbp = regs.rbp;
  user.rbx = regs.rbx;
  user.r11 = regs.r11;
  user.r10 = regs.r10;
  user.r9 = regs.r9;
  user.r8 = regs.r8;
  user.rax = regs.rax;
  user.rcx = regs.rcx;
  user.rdx = regs.rdx;
  user.rsi = regs.rsi;
  user.rdi = regs.rdi;
  user.orig_rax = ~0ull;  // not in a system call
  user.rip = regs.rip;
  user.cs = sregs.cs.selector;
  user.eflags = regs.rflags;
  user.rsp = regs.rsp;
  user.ss = sregs.ss.selector;
  user.fs_base = sregs.fs.base;
  user.gs_base = sregs.gs.base;
  user.ds = sregs.ds.selector;
  user.es = sregs.es.selector;
  user.fs = sregs.fs.selector;
  user.gs = sregs.gs.selector;
  elf_prstatus status = {};
  status.pr_info.si_signo = state.signal;
  status.pr_cursig = static_cast<short>(state.signal);
  status.pr_pid = state.pid;
  status.pr_fpvalid = 1;
  static_assert(sizeof(status.pr_reg) == sizeof(user));
  std::memcpy(&status.pr_reg, &user, sizeof(user));
  return status;
}

elf_prpsinfo InfoOf(const CoreState& state) {
  elf_prpsinfo info = {};
  info.pr_sname = 'R';
  info.pr_pid = state.pid;
  const size_t slash = state.program.rfind('/');
  CopyText(slash == std::string_view::npos ? state.program
                                           : state.program.substr(slash + 1),
           info.pr_fname);
  // Debuggers show this, and look for a file of that name.
  char text[sizeof(info.pr_psargs)] = {};
  CopyText(state.program, text);
  const size_t used = std::strlen(text);
  if (!state.arguments.empty() && used + 2 < sizeof(text)) {
    text[used] = ' ';
    std::memcpy(text + used + 1, state.arguments.data(),
                std::min(state.arguments.size(), sizeof(text) - used - 2));
  }
  std::memcpy(info.pr_psargs, text, sizeof(text));
  return info;
}

user_fpregs_struct FloatsOf(const kvm_fpu& fpu) {
  user_fpregs_struct floats = {};
  floats.cwd = fpu.fcw;
  floats.swd = fpu.fsw;
  floats.ftw = fpu.ftwx;
  floats.fop = fpu.last_opcode;
  floats.rip = fpu.last_ip;
  floats.rdp = fpu.last_dp;
  floats.mxcsr = fpu.mxcsr;
  floats.mxcr_mask = 0xffff;
  static_assert(sizeof(floats.st_space) == sizeof(fpu.fpr));
  static_assert(sizeof(floats.xmm_space) == sizeof(fpu.xmm));
  std::memcpy(floats.st_space, fpu.fpr, sizeof(fpu.fpr));
  std::memcpy(floats.xmm_space, fpu.xmm, sizeof(fpu.xmm));
  return floats;
}

Elf64_Ehdr FileHeader(size_t program_headers) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(header);
  header.e_ehsize = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(program_headers);
  return header;
}

Elf64_Phdr NotesHeader(size_t offset) {
  Elf64_Phdr header = {};
  header.p_type = PT_NOTE;
  header.p_offset = offset;
  header.p_filesz = kNotesSize;
  header.p_align = 4;
  return header;
}

Elf64_Phdr RangeHeader(const CoreRange& range) {
  Elf64_Phdr header = {};
  header.p_type = PT_LOAD;
  header.p_flags = range.flags;
  header.p_offset = CoreOffset(range.start);
  header.p_vaddr = range.start;
  header.p_memsz = range.end - range.start;
  header.p_filesz = range.flags == 0 ? 0 : header.p_memsz;
  header.p_align = solo5::kPageSize;
  return header;
}

uint32_t FlagsOf(const Segment& segment) {
  const bool readable =
      segment.readable || segment.writable || segment.executable;
  return (readable ? PF_R : 0u) | (segment.writable ? PF_W : 0u) |
         (segment.executable ? PF_X : 0u);
}

}  // namespace

std::span<CoreRange> DivideMemory(
    std::span<const Segment> segments, uint64_t memory, bool executable_heap,
    std::array<CoreRange, kMaxCoreRanges>* ranges) {
  const uint32_t heap = PF_R | PF_W | (executable_heap ? PF_X : 0u);
  size_t count = 0;
  uint64_t at = solo5::kMinLoadAddress;
  const auto add = [&](const CoreRange& range) {
    if (range.start < range.end) (*ranges)[count++] = range;
  };
  add({kCoreFirstAddress, at, PF_R});
  for (const Segment& segment : segments) {
    add({at, segment.PageStart(), heap});
    add({segment.PageStart(), segment.PageEnd(), FlagsOf(segment),
         segment.address + segment.file_size});
    at = segment.PageEnd();
  }
  add({at, memory, heap});
  return {ranges->data(), count};
}

void BuildCoreHeader(const CoreState& state, std::span<const CoreRange> ranges,
                     uint8_t* header) {
  std::memset(header, 0, kCoreHeaderSize);
  Writer writer(header);
  const size_t count = 1 + ranges.size();
  writer.Put(FileHeader(count));
  writer.Put(NotesHeader(sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr)));
  for (const CoreRange& range : ranges) writer.Put(RangeHeader(range));
  writer.PutNote(NT_PRSTATUS, StatusOf(state));
  writer.PutNote(NT_PRPSINFO, InfoOf(state));
  writer.PutNote(NT_FPREGSET, FloatsOf(state.fpu));
}

int SignalOf(uint8_t vector) {
  switch (vector) {
    case 0:   // division
    case 16:  // x87
    case 19:  // SSE
      return SIGFPE;
    case 1:  // debug
    case 3:  // breakpoint
      return SIGTRAP;
    case 6:  // undefined instruction
      return SIGILL;
    case 17:  // alignment
      return SIGBUS;
    default:
      return SIGSEGV;
  }
}

}  // namespace serai::tender::hvt
