// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/core_file.h"

#include <elf.h>
#include <signal.h>
#include <sys/procfs.h>

#include <array>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

using solo5::Segment;
using ::testing::ElementsAre;

constexpr uint64_t kMiB = 1 << 20;

Segment Text(uint64_t address, uint64_t size) {
  return {0, address, size, size, true, false, true};
}

std::vector<CoreRange> Divide(const std::vector<Segment>& segments,
                              uint64_t memory, bool executable_heap = false) {
  std::array<CoreRange, kMaxCoreRanges> storage;
  const auto ranges = DivideMemory(segments, memory, executable_heap, &storage);
  return {ranges.begin(), ranges.end()};
}

MATCHER_P3(IsRange, start, end, flags, "") {
  return arg.start == uint64_t{start} && arg.end == uint64_t{end} &&
         arg.flags == static_cast<uint32_t>(flags);
}

TEST(DivideMemoryTest, SaysOfEachPartWhatTheGuestMayDo) {
  const Segment data = {0, 3 * kMiB + 0x10, 0x20, 0x2000, true, true, false};
  const auto ranges = Divide({Text(1 * kMiB, 0x1800), data}, 4 * kMiB);
  EXPECT_THAT(ranges,
              ElementsAre(IsRange(0x10000u, 1 * kMiB, PF_R),
                          IsRange(1 * kMiB, 1 * kMiB + 0x2000, PF_R | PF_X),
                          IsRange(1 * kMiB + 0x2000, 3 * kMiB, PF_R | PF_W),
                          IsRange(3 * kMiB, 3 * kMiB + 0x3000, PF_R | PF_W),
                          IsRange(3 * kMiB + 0x3000, 4 * kMiB, PF_R | PF_W)));
  EXPECT_EQ(ranges[1].mapped_end, 1 * kMiB + 0x1800);
  EXPECT_EQ(ranges[3].mapped_end, 3 * kMiB + 0x30);
  EXPECT_EQ(ranges[4].mapped_end, 0);
}

TEST(DivideMemoryTest, LeavesOutWhatIsEmpty) {
  EXPECT_THAT(Divide({Text(1 * kMiB, kMiB)}, 2 * kMiB),
              ElementsAre(IsRange(0x10000u, 1 * kMiB, PF_R),
                          IsRange(1 * kMiB, 2 * kMiB, PF_R | PF_X)));
}

TEST(DivideMemoryTest, KnowsAnExecutableHeap) {
  EXPECT_EQ(Divide({}, 2 * kMiB, true).back().flags,
            uint32_t{PF_R | PF_W | PF_X});
}

TEST(DivideMemoryTest, HasRoomForEverySegment) {
  std::vector<Segment> segments;
  for (uint64_t i = 0; i < solo5::kMaxSegments; ++i) {
    segments.push_back(Text((2 + 2 * i) * kMiB, kMiB));
  }
  EXPECT_EQ(Divide(segments, 100 * kMiB).size(), kMaxCoreRanges);
}

class CoreHeaderTest : public ::testing::Test {
 protected:
  template <typename T>
  T At(uint64_t offset) const {
    T value;
    EXPECT_LE(offset + sizeof(value), header_.size());
    std::memcpy(&value, header_.data() + offset, sizeof(value));
    return value;
  }
  Elf64_Phdr ProgramHeader(uint64_t number) const {
    const auto file = At<Elf64_Ehdr>(0);
    EXPECT_LT(number, file.e_phnum);
    return At<Elf64_Phdr>(file.e_phoff + number * sizeof(Elf64_Phdr));
  }
  // Where each note's content stands, by its type.
  std::map<uint32_t, uint64_t> Notes() const {
    std::map<uint32_t, uint64_t> notes;
    const Elf64_Phdr segment = ProgramHeader(0);
    EXPECT_EQ(segment.p_type, uint32_t{PT_NOTE});
    uint64_t at = segment.p_offset;
    while (at < segment.p_offset + segment.p_filesz) {
      const auto note = At<Elf64_Nhdr>(at);
      const std::array<char, 5> name = {'C', 'O', 'R', 'E', '\0'};
      EXPECT_EQ((At<std::array<char, 5>>(at + sizeof(note))), name);
      notes[note.n_type] = at + sizeof(note) + 8;
      at += sizeof(note) + 8 + note.n_descsz;
    }
    EXPECT_EQ(at, segment.p_offset + segment.p_filesz);
    return notes;
  }
  void Build(const CoreState& state, const std::vector<CoreRange>& ranges) {
    BuildCoreHeader(state, ranges, header_.data());
  }

  std::vector<uint8_t> header_ = std::vector<uint8_t>(kCoreHeaderSize, 0xff);
};

TEST_F(CoreHeaderTest, PlacesEveryRangeInTheFile) {
  Build({}, {{0x10000, 0x100000, PF_R},
             {0x100000, 0x103000, PF_R | PF_X},
             {0x103000, 0x104000, 0}});
  const auto file = At<Elf64_Ehdr>(0);
  EXPECT_EQ(std::memcmp(file.e_ident, ELFMAG, SELFMAG), 0);
  EXPECT_EQ(file.e_type, ET_CORE);
  EXPECT_EQ(file.e_machine, EM_X86_64);
  ASSERT_EQ(file.e_phnum, 4);
  const Elf64_Phdr text = ProgramHeader(2);
  EXPECT_EQ(text.p_type, uint32_t{PT_LOAD});
  EXPECT_EQ(text.p_flags, uint32_t{PF_R | PF_X});
  EXPECT_EQ(text.p_vaddr, 0x100000u);
  EXPECT_EQ(text.p_offset, kCoreHeaderSize + 0xf0000u);
  EXPECT_EQ(text.p_filesz, 0x3000u);
  EXPECT_EQ(text.p_memsz, 0x3000u);
  const Elf64_Phdr nothing = ProgramHeader(3);
  EXPECT_EQ(nothing.p_filesz, 0u);
  EXPECT_EQ(nothing.p_memsz, 0x1000u);
}

TEST_F(CoreHeaderTest, HasTheRegistersWhereLinuxPutsThem) {
  CoreState state;
  state.regs.rip = 0x123456;
  state.regs.rsp = 0x234567;
  state.regs.rax = 3;
  state.sregs.cs.selector = 0x33;
  state.sregs.fs.base = 0x345678;
  state.fpu.mxcsr = 0x1f80;
  state.fpu.xmm[1][0] = 0x77;
  state.signal = SIGSEGV;
  state.pid = 4711;
  Build(state, {});
  const auto notes = Notes();
  const auto status = At<elf_prstatus>(notes.at(NT_PRSTATUS));
  EXPECT_EQ(status.pr_cursig, SIGSEGV);
  EXPECT_EQ(status.pr_pid, 4711);
  user_regs_struct regs;
  std::memcpy(&regs, &status.pr_reg, sizeof(regs));
  EXPECT_EQ(regs.rip, 0x123456u);
  EXPECT_EQ(regs.rsp, 0x234567u);
  EXPECT_EQ(regs.rax, 3u);
  EXPECT_EQ(regs.cs, 0x33u);
  EXPECT_EQ(regs.fs_base, 0x345678u);
  const auto floats = At<user_fpregs_struct>(notes.at(NT_FPREGSET));
  EXPECT_EQ(floats.mxcsr, 0x1f80u);
  EXPECT_EQ(floats.xmm_space[4], 0x77u);
}

TEST_F(CoreHeaderTest, CutsLongNames) {
  const std::string longer(5000, 'x');
  CoreState state;
  state.program = longer;
  state.arguments = longer;
  Build(state, std::vector<CoreRange>(kMaxCoreRanges, {0, 1, PF_R}));
  const auto info = At<elf_prpsinfo>(Notes().at(NT_PRPSINFO));
  EXPECT_EQ(::strnlen(info.pr_fname, sizeof(info.pr_fname)),
            sizeof(info.pr_fname) - 1);
  EXPECT_EQ(::strnlen(info.pr_psargs, sizeof(info.pr_psargs)),
            sizeof(info.pr_psargs) - 1);
}

TEST_F(CoreHeaderTest, NamesTheUnikernelAndItsArguments) {
  CoreState state;
  state.program = "some/where/web.hvt";
  state.arguments = "--port=80";
  Build(state, {});
  const auto info = At<elf_prpsinfo>(Notes().at(NT_PRPSINFO));
  EXPECT_STREQ(info.pr_fname, "web.hvt");
  EXPECT_STREQ(info.pr_psargs, "some/where/web.hvt --port=80");
}

TEST(SignalOfTest, IsWhatAProcessWouldGet) {
  EXPECT_EQ(SignalOf(0), SIGFPE);
  EXPECT_EQ(SignalOf(3), SIGTRAP);
  EXPECT_EQ(SignalOf(6), SIGILL);
  EXPECT_EQ(SignalOf(13), SIGSEGV);
  EXPECT_EQ(SignalOf(14), SIGSEGV);
  EXPECT_EQ(SignalOf(31), SIGSEGV);
}

}  // namespace
}  // namespace serai::tender::hvt
