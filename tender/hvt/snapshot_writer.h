// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writes snapshots of a running guest to a directory. There is one whole
// snapshot in it at any time, once there was one: the machine file, which comes
// last, says which memory file is its own.
//
// In place of the directory a socket may be given. Then each snapshot has an
// empty directory of its own, which is received when the snapshot is wanted and
// let go of behind it: at no other time could a guest that took the tender over
// make a file.

#include <cstdint>

#include "tender/filter.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/snapshot_format.h"
#include "tender/hvt/snapshot_memory.h"
#include "tender/options.h"

namespace serai::tender::hvt {

class SnapshotWriter {
 public:
  // Opens and locks the directory, whose only writer this is, or takes the
  // socket. `memory` is borrowed. Ends the process where it can't.
  SnapshotWriter(const Place& place, const MemoryWriter* memory);

  // What the policy leaves open of Write(): every name is a constant, and the
  // address of it is checked. Nothing may open or close a descriptor from
  // here on.
  void Bind(Bindings* bindings);

  // Writes a snapshot of guest memory with *state, which gets its header here.
  // How many bytes that were, or -1, with *failed what failed and errno; the
  // directory then is as it was.
  int64_t Write(SnapshotState* state, const char** failed);

 private:
  void OpenDirectoryOf(const Place& place);
  // For a directory that comes by the socket: puts the next one at directory_,
  // and takes it from there.
  bool Receive(const char** failed);
  void LetGo() const;
  int64_t WriteBoth(SnapshotState* state, const char** failed);
  int64_t WriteMemory(SnapshotState* state, const char** failed) const;
  bool WriteMachine(const SnapshotState& state, const char** failed) const;
  bool Create(const char* name) const;
  bool Close(bool sync) const;
  void Remove(const char* name) const;

  const MemoryWriter* memory_;
  int inbox_ = -1;  // the socket; -1: there is a directory from the start
  int directory_ = -1;
  // The descriptor that the next open() returns, as long as no other is closed.
  int file_ = -1;
  uint32_t memory_number_ = 1;  // of the snapshot that is there
  SnapshotId id_;               // of the last one written
};

}  // namespace serai::tender::hvt
