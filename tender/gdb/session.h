// SPDX-License-Identifier: Apache-2.0
#pragma once

// One debugger's connection, from its first packet to its last: gdb's remote
// serial protocol for a machine of one processor that either stands still, and
// is looked at, or runs ("all-stop"). The debugger is not trusted to speak the
// protocol, though what it may do to the guest has no limits.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "tender/gdb/packet.h"
#include "tender/gdb/registers.h"

namespace serai::tender::gdb {

// Numbers as in packets.
enum class Point : uint8_t {
  kSoftware = 0,  // breakpoints
  kHardware = 1,
  kWrite = 2,  // watchpoints
  kRead = 3,
  kAccess = 4,
};

enum class Answer { kDone, kFailed, kUnsupported };

// The machine that is debugged, while it stands still.
class Target {
 public:
  virtual void ReadRegisters(Registers* registers) = 0;
  virtual bool WriteRegisters(const Registers& registers) = 0;
  // All of it or nothing.
  virtual bool ReadMemory(uint64_t address, std::span<uint8_t> to) = 0;
  virtual bool WriteMemory(uint64_t address, std::span<const uint8_t> from) = 0;
  virtual Answer Insert(Point point, uint64_t address, uint64_t size) = 0;
  virtual Answer Remove(Point point, uint64_t address, uint64_t size) = 0;

 protected:
  ~Target() = default;
};

// A connection in bytes.
class Stream {
 public:
  // Reads some, waiting for them; or, with `wait` false, what is there. How
  // many; 0 at the end; -1 where nothing is there.
  virtual ssize_t Read(std::span<uint8_t> to, bool wait) = 0;
  // False when the other side is gone.
  virtual bool Write(std::string_view bytes) = 0;

 protected:
  ~Stream() = default;
};

// Why the machine stands still.
struct Stop {
  enum class Reason { kSignal, kBreakpoint, kWatchpoint };

  int signal = 0;  // Linux's number
  Reason reason = Reason::kSignal;
  uint64_t address = 0;  // of what a watchpoint saw
};

// How it is to go on.
struct Resume {
  enum class Action {
    kContinue,
    kStep,
    kLeave,  // without the debugger, which went away
    kKill,
  };

  Action action = Action::kContinue;
  int signal = 0;  // which the guest is to see; 0: none
};

class Session {
 public:
  // Borrows both.
  Session(Target* target, Stream* stream) : target_(target), stream_(stream) {}

  // The machine has stopped: serves the debugger until it lets it go on.
  Resume Serve(const Stop& stop);

  // The machine runs and bytes may have come: whether it is to stop, since the
  // debugger wants it to or has left, which Serve() then finds.
  bool WantsStop();

  // The machine ended, with a status or by a signal.
  void TellExit(uint8_t status);
  void TellKilled(int signal);

 private:
  // What becomes of a packet.
  enum class Next { kReply, kResume };

  Next Handle(std::string_view payload, Resume* resume);
  Next HandleV(PayloadReader packet, Resume* resume);
  Next HandleContinue(PayloadReader packet, Resume* resume);
  Next HandleOldResume(char command, PayloadReader packet, Resume* resume);
  void HandleQuery(PayloadReader packet);
  void HandleFeatures(PayloadReader packet);
  void ReadRegisters();
  void WriteRegisters(PayloadReader packet);
  void ReadRegister(PayloadReader packet);
  void WriteRegister(PayloadReader packet);
  void ReadMemory(PayloadReader packet);
  void WriteMemory(PayloadReader packet, bool escaped);
  void ChangePoint(PayloadReader packet, bool insert);
  void DescribeStop();
  void Say(bool done);
  void Send();
  bool Receive(bool wait, PacketReader::Event* event);

  Target* target_;
  Stream* stream_;
  Stop stop_;
  bool started_ = false;  // the debugger waits for news of the machine
  bool acknowledge_ = true;
  bool next_acknowledge_ = true;
  bool interrupted_ = false;
  bool gone_ = false;
  PacketReader reader_;
  PacketWriter writer_;
  std::array<uint8_t, 1024> input_;
  size_t input_at_ = 0;
  size_t input_size_ = 0;
  std::array<uint8_t, kMaxPayload> memory_;
};

}  // namespace serai::tender::gdb
