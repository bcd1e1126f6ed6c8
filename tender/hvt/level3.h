// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs the guest at privilege level 3 although it was built for level 0. All
// that happens at level 0 is the stub (stub.h), which exits at each exception;
// what the guest wanted is then done for it here, or it gets the exception.

#include "tender/counters.h"
#include "tender/guest.h"
#include "tender/hvt/emulate.h"
#include "tender/hvt/hypercall.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/memory.h"

namespace serai::tender::hvt {

class Debugger;

class Level3 {
 public:
  // Borrows all.
  Level3(uint8_t* system, const GuestMemory* memory, Processor* processor,
         Hypercalls* hypercalls, Counters* counters)
      : system_(system),
        emulator_(memory),
        memory_size_(memory->size()),
        processor_(processor),
        hypercalls_(hypercalls),
        counters_(counters) {}

  // Fills the system area and sets the state at entry.
  void SetUp(const Guest& guest);

  // `debugger` is asked about each trap from here on.
  void SetDebugger(Debugger* debugger) { debugger_ = debugger; }

  // Serves the exit of an `out` where that is the stub's; false where it is the
  // guest's own.
  bool ServeExit();

  // Whether the processor is on its way to the tender, inside the stub: its
  // registers are not the guest's then, and the exit comes at once.
  bool IsInStub() const;

  Emulator& emulator() { return emulator_; }

  // An exception of the guest's, with its registers when it came.
  struct Fault {
    Exception exception;
    kvm_regs regs;
  };
  // The last one from whose handler the guest has not returned; null where
  // there is none.
  const Fault* fault() const { return faulted_ ? &fault_ : nullptr; }

 private:
  void OnTrap(uint8_t vector);
  bool DoRefusedInstruction();
  void Deliver(const Exception& exception);
  void CheckPageFault(const Exception& exception);
  void NoteReturn();

  uint8_t* system_;
  Emulator emulator_;
  uint64_t memory_size_;
  Processor* processor_;
  Hypercalls* hypercalls_;
  Counters* counters_;
  Debugger* debugger_ = nullptr;
  Fault fault_;
  bool faulted_ = false;
};

}  // namespace serai::tender::hvt
