// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/bpf_evaluator.h"

#include <linux/audit.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace serai::testing {
namespace {

[[noreturn]] void Refuse(const char* reason, size_t at) {
  std::fprintf(stderr, "filter: %s at instruction %zu\n", reason, at);
  std::abort();
}

}  // namespace

uint32_t EvaluateFilter(std::span<const sock_filter> program,
                        const seccomp_data& data) {
  uint32_t accumulator = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& step = program[at];
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (step.k % 4 != 0 || step.k > sizeof(data) - 4) {
          Refuse("load outside the data", at);
        }
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + step.k,
                    4);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == step.k ? step.jt : step.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        at += accumulator > step.k ? step.jt : step.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= step.k ? step.jt : step.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += (accumulator & step.k) != 0 ? step.jt : step.jf;
        break;
      case BPF_JMP | BPF_JA:
        at += step.k;
        break;
      case BPF_RET | BPF_K:
        return step.k;
      default:
        Refuse("unknown instruction", at);
    }
  }
  Refuse("no verdict", program.size());
}

uint32_t EvaluateSystemCall(std::span<const sock_filter> program, long number,
                            std::initializer_list<uint64_t> arguments) {
  seccomp_data data = {};
  data.nr = static_cast<int>(number);
  data.arch = AUDIT_ARCH_X86_64;
  size_t i = 0;
  for (const uint64_t argument : arguments) data.args[i++] = argument;
  return EvaluateFilter(program, data);
}

}  // namespace serai::testing
