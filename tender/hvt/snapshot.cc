// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot.h"

#include <cerrno>
#include <cstring>
#include <ctime>

#include "tender/hvt/snapshot_processor.h"
#include "tender/hvt/snapshot_reader.h"
#include "tender/line.h"
#include "tender/report.h"

namespace serai::tender::hvt {
namespace {

uint64_t Microseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(now.tv_nsec) / 1'000;
}

void CheckOptions(const Options& options) {
  if (options.net_ring) {
    Fatal(
        "--snapshot-to and --net-ring=on exclude each other: a ring has "
        "requests under way at any time");
  }
}

uint32_t AccessOf(const solo5::Segment& segment) {
  return (segment.readable ? SnapshotSegment::kReadable : 0u) |
         (segment.writable ? SnapshotSegment::kWritable : 0u) |
         (segment.executable ? SnapshotSegment::kExecutable : 0u);
}

SnapshotRange RangeOf(const solo5::Segment& segment) {
  return {segment.PageStart(), segment.PageEnd() - segment.PageStart()};
}

// What does not change while the guest runs.
void Describe(const Guest& guest, const CpuidTable& cpuid,
              SnapshotState* state) {
  state->flags =
      guest.options->executable_heap ? SnapshotState::kExecutableHeap : 0u;
  state->memory = guest.memory;
  for (const solo5::Segment& segment : guest.unikernel.LoadedSegments()) {
    state->segments[state->segment_count++] = {RangeOf(segment),
                                               AccessOf(segment), 0};
  }
  for (size_t i = 0; i < kCpuidEntries; ++i) {
    const kvm_cpuid_entry2& from = cpuid.entries[i];
    state->cpuid[i] = {from.function, from.index, from.eax,
                       from.ebx,      from.ecx,   from.edx};
  }
  state->manifest = guest.unikernel.manifest;
}

// Which memory comes from files, and which nobody can read.
void DescribeMemory(const Guest& guest, MemoryWriter* memory) {
  for (const solo5::Segment& segment : guest.unikernel.LoadedSegments()) {
    if (guest.snapshot == nullptr) memory->AddFile(RangeOf(segment));
    if (AccessOf(segment) == 0) memory->AddInaccessible(RangeOf(segment));
  }
  if (guest.snapshot == nullptr) return;
  for (const SnapshotRange& extent : guest.snapshot->state.Extents()) {
    memory->AddFile(extent);
  }
}

void TellDone(int64_t bytes, uint64_t microseconds) {
  char buffer[128];
  WriteStatus(Line(buffer)
                  .Text("{\"snapshot\":\"done\",\"bytes\":")
                  .Signed(bytes)
                  .Text(",\"microseconds\":")
                  .Number(microseconds)
                  .Text("}\n")
                  .text());
}

void TellFailed(const char* what, const char* reason) {
  Warn("snapshot: %s: %s", what, reason);
  char message[256];
  Line line(message);
  line.Text(what).Text(": ").Text(reason);
  char buffer[600];
  WriteStatus(Line(buffer)
                  .Text("{\"snapshot\":\"failed\",\"message\":")
                  .Quoted(line.text())
                  .Text("}\n")
                  .text());
}

}  // namespace

Snapshots::Snapshots(const Guest& guest, const uint8_t* base,
                     Processor* processor, const Hypercalls* hypercalls,
                     const Emulator* emulator, const CpuidTable& cpuid)
    : processor_(processor),
      hypercalls_(hypercalls),
      emulator_(emulator),
      memory_(base, guest.memory, guest.page_map_fd),
      writer_(guest.options->snapshot_to, &memory_),
      state_() {
  CheckOptions(*guest.options);
  Describe(guest, cpuid, &state_);
  DescribeMemory(guest, &memory_);
}

void Snapshots::Bind(Bindings* bindings) { writer_.Bind(bindings); }

bool Snapshots::TryTake(int64_t* bytes, const char** failed) {
  state_.level = emulator_ != nullptr ? 3 : 0;
  const Hypercalls::PendingPoll poll = hypercalls_->pending_poll();
  state_.poll_address = poll.address;
  state_.poll_timeout = poll.timeout;
  state_.processor = {};
  if (emulator_ != nullptr) state_.processor.tables = emulator_->tables();
  *failed = SaveProcessor(processor_, &state_);
  if (*failed != nullptr) return false;
  *bytes = writer_.Write(&state_, failed);
  return *bytes >= 0;
}

void Snapshots::Take() {
  const uint64_t start = Microseconds();
  int64_t bytes = 0;
  const char* failed = nullptr;
  if (TryTake(&bytes, &failed)) {
    TellDone(bytes, Microseconds() - start);
  } else {
    TellFailed(failed, std::strerror(errno));
  }
}

}  // namespace serai::tender::hvt
