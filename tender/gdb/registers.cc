// SPDX-License-Identifier: Apache-2.0
#include "tender/gdb/registers.h"

#include "tender/line.h"

namespace serai::tender::gdb {
namespace {

using std::string_view;

// Registers of one kind, in a row.
struct Group {
  size_t first;   // number
  size_t offset;  // in Registers
  size_t size;    // of each, bytes
};
constexpr Group kGroups[] = {
    {0, offsetof(Registers, general), 8},  {17, offsetof(Registers, rflags), 4},
    {24, offsetof(Registers, st), 10},     {32, offsetof(Registers, x87), 4},
    {40, offsetof(Registers, xmm), 16},    {56, offsetof(Registers, mxcsr), 4},
    {57, offsetof(Registers, fs_base), 8},
};

// Appends the description to a line of text.
class Describer {
 public:
  explicit Describer(Line* line) : line_(*line) {}

  void Describe();

 private:
  // `names` are separated by spaces.
  void Add(string_view names, string_view size, string_view type);
  void AddFlag(string_view name, uint64_t bit);
  void AddFeature(string_view name);
  void EndFeature() { line_.Text("</feature>"); }
  void AddFlags();
  void AddVector();

  Line& line_;
};

void Describer::Add(string_view names, string_view size, string_view type) {
  while (!names.empty()) {
    const string_view name = names.substr(0, names.find(' '));
    names.remove_prefix(name.size() + (name.size() < names.size() ? 1 : 0));
    line_.Text("<reg name=\"").Text(name);
    line_.Text("\" bitsize=\"").Text(size);
    line_.Text("\" type=\"").Text(type).Text("\"/>");
  }
}

void Describer::AddFlag(string_view name, uint64_t bit) {
  line_.Text("<field name=\"").Text(name).Text("\" start=\"").Number(bit);
  line_.Text("\" end=\"").Number(bit).Text("\"/>");
}

void Describer::AddFeature(string_view name) {
  line_.Text("<feature name=\"org.gnu.gdb.i386.").Text(name).Text("\">");
}

void Describer::AddFlags() {
  constexpr struct {
    string_view name;
    uint64_t bit;
  } kFlags[] = {{"CF", 0},  {"PF", 2},  {"AF", 4},  {"ZF", 6},  {"SF", 7},
                {"TF", 8},  {"IF", 9},  {"DF", 10}, {"OF", 11}, {"NT", 14},
                {"RF", 16}, {"AC", 18}, {"ID", 21}};
  line_.Text(R"(<flags id="i386_eflags" size="4">)");
  for (const auto& flag : kFlags) AddFlag(flag.name, flag.bit);
  line_.Text("</flags>");
}

void Describer::AddVector() {
  constexpr struct {
    string_view id;
    string_view type;
    uint64_t count;
  } kVectors[] = {
      {"v4_float", "ieee_single", 4}, {"v2_double", "ieee_double", 2},
      {"v16_int8", "int8", 16},       {"v8_int16", "int16", 8},
      {"v4_int32", "int32", 4},       {"v2_int64", "int64", 2}};
  for (const auto& vector : kVectors) {
    line_.Text("<vector id=\"").Text(vector.id).Text("\" type=\"");
    line_.Text(vector.type).Text("\" count=\"").Number(vector.count);
    line_.Text("\"/>");
  }
  line_.Text(R"(<union id="vec128">)");
  for (const auto& vector : kVectors) {
    line_.Text("<field name=\"").Text(vector.id).Text("\" type=\"");
    line_.Text(vector.id).Text("\"/>");
  }
  line_.Text(R"(<field name="uint128" type="uint128"/></union>)");
}

void Describer::Describe() {
  line_.Text(
      "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
      "<target><architecture>i386:x86-64</architecture>");
  AddFeature("core");
  AddFlags();
  Add("rax rbx rcx rdx rsi rdi", "64", "int64");
  Add("rbp rsp", "64", "data_ptr");
  Add("r8 r9 r10 r11 r12 r13 r14 r15", "64", "int64");
  Add("rip", "64", "code_ptr");
  Add("eflags", "32", "i386_eflags");
  Add("cs ss ds es fs gs", "32", "int32");
  Add("st0 st1 st2 st3 st4 st5 st6 st7", "80", "i387_ext");
  Add("fctrl fstat ftag fiseg fioff foseg fooff fop", "32", "int");
  EndFeature();
  AddFeature("sse");
  AddVector();
  Add("xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 xmm8 xmm9 xmm10 xmm11 xmm12 "
      "xmm13 xmm14 xmm15",
      "128", "vec128");
  Add("mxcsr", "32", "int32");
  EndFeature();
  AddFeature("segments");
  Add("fs_base gs_base", "64", "int64");
  EndFeature();
  line_.Text("</target>");
}

}  // namespace

std::optional<std::span<uint8_t>> RegisterBytes(Registers* registers,
                                                uint64_t number) {
  if (number >= kRegisters) return std::nullopt;
  const Group* group = kGroups;
  while (group + 1 != std::end(kGroups) && (group + 1)->first <= number) {
    ++group;
  }
  const size_t offset = group->offset + (number - group->first) * group->size;
  return std::span(reinterpret_cast<uint8_t*>(registers) + offset, group->size);
}

std::string_view TargetDescription() {
  static char buffer[6144];
  static Line line(buffer);
  if (line.text().empty()) Describer(&line).Describe();
  return line.text();
}

}  // namespace serai::tender::gdb
