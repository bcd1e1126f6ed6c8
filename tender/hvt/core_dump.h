// SPDX-License-Identifier: Apache-2.0
#pragma once

// Leaves a core file of the guest when it crashes (--dumpcore). All that this
// opens, but the file itself, is open before the tender confines itself; the
// file's one possible name stands in memory that nobody can write any more.

#include <cstdint>
#include <span>

#include "tender/filter.h"
#include "tender/guest.h"
#include "tender/hvt/core_file.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/state_file.h"

namespace serai::tender::hvt {

// The guest's registers when it crashed, and the signal that a process would
// have died by.
struct Crash {
  kvm_regs regs;
  int signal;
};

class CoreDump {
 public:
  // Opens the directory that the guest's options name and chooses a name in it;
  // ends the process where it can't. `base` is where guest address 0 stands.
  CoreDump(const Guest& guest, const uint8_t* base);

  // What the policy leaves open of it. No descriptor may be opened or closed
  // between this and the filter's start, nor after it.
  void Bind(Bindings* bindings);

  // Writes the file. Where that fails it says so and leaves none.
  void Write(const Crash& crash, Processor* processor);

 private:
  void ChooseName();
  bool WriteRange(const CoreRange& range);
  bool WriteBatch(uint64_t start, uint64_t end, uint64_t mapped_end);

  const Guest& guest_;
  const uint8_t* base_;
  int directory_;
  PageMap page_map_;
  int core_ = -1;
  pid_t pid_;
  const char* name_ = nullptr;
};

}  // namespace serai::tender::hvt
