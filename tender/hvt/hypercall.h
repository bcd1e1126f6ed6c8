// SPDX-License-Identifier: Apache-2.0
#pragma once

// The hypercalls of the hvt target. Each copies its argument structure out of
// guest memory, checks the copy and uses only that. A guest that hands over an
// address that is not its own ends the tender.

#include <sys/epoll.h>

#include <cstdint>

#include "tender/console.h"
#include "tender/counters.h"
#include "tender/devices.h"
#include "tender/hvt/memory.h"
#include "tender/report.h"

namespace serai::tender::hvt {

class RingThread;

class Hypercalls {
 public:
  // The data of the events that tell of a request (requests.h), and of room on
  // the console.
  static constexpr uint64_t kRequestEvent = ~uint64_t{0};
  static constexpr uint64_t kConsoleEvent = kRequestEvent - 1;
  // Called when that comes while the guest sleeps: whether it is to wake up.
  using SleepHook = bool (*)(void* context);

  // Called when the guest gives up, with what it tells of the reason, or null.
  // It does not return.
  using AbortHook = void (*)(void* context, const Trap* trap);

  // Borrows all. `epoll_fd` is CreateEventPoll()'s.
  Hypercalls(const GuestMemory* memory, const DeviceTable* devices,
             int epoll_fd, Console* console, Counters* counters)
      : memory_(memory),
        devices_(devices),
        epoll_fd_(epoll_fd),
        console_(console),
        counters_(counters) {}

  void SetSleepHook(SleepHook hook, void* context) {
    sleep_hook_ = hook;
    sleep_context_ = context;
  }

  void SetAbortHook(AbortHook hook, void* context) {
    abort_hook_ = hook;
    abort_context_ = context;
  }

  // A poll that a request has interrupted: the guest is between two
  // instructions and has no answer yet.
  struct PendingPoll {
    uint64_t address = 0;  // of its argument; 0: there is none
    uint64_t timeout = 0;  // ns that are left
  };
  PendingPoll pending_poll() const;
  void SetPendingPoll(const PendingPoll& poll);
  // Lets the guest sleep on, where there is one. Before it runs again.
  void FinishPoll();
  // The same, but the guest's time is up.
  void EndPoll();

  // `ring` is kicked by the guest from here on.
  void SetRing(RingThread* ring) { ring_ = ring; }

  // Serves an `out` of `size` bytes to `port`. Does not return from halt, nor
  // from a port that is none of ours.
  void Serve(uint16_t port, uint8_t size, uint32_t address);

 private:
  void Walltime(uint64_t address);
  void Puts(uint64_t address);
  void Poll(uint64_t address);
  void PollUntil(uint64_t deadline, uint64_t address);
  void BlockWrite(uint64_t address);
  void BlockRead(uint64_t address);
  void NetWrite(uint64_t address);
  void NetRead(uint64_t address);
  [[noreturn]] void Halt(uint64_t address);

  // What there was while the guest slept.
  struct Events {
    int count = 0;  // of devices
    uint64_t devices = 0;
    bool console = false;
    bool request = false;
  };
  Events Wait(uint64_t timeout);
  void Sort(const epoll_event& event, Events* events);
  Events Sleep(uint64_t deadline);
  void WatchConsole(bool watch);

  template <typename T>
  T LoadArgument(uint64_t address) const;
  template <typename T>
  T LoadForAnswer(uint64_t address) const;
  template <typename T>
  void StoreArgument(uint64_t address, const T& argument) const;
  uint8_t* Readable(uint64_t address, uint64_t length) const;
  uint8_t* Writable(uint64_t address, uint64_t length) const;
  const Device* Find(uint64_t handle, Device::Kind kind) const;
  DeviceCounters* CountersOf(const Device& device) const;

  const GuestMemory* memory_;
  const DeviceTable* devices_;
  int epoll_fd_;
  Console* console_;
  Counters* counters_;
  uint64_t pending_poll_ = 0;  // PendingPoll::address
  uint64_t poll_deadline_ = 0;
  SleepHook sleep_hook_ = nullptr;
  void* sleep_context_ = nullptr;
  AbortHook abort_hook_ = nullptr;
  void* abort_context_ = nullptr;
  RingThread* ring_ = nullptr;
};

}  // namespace serai::tender::hvt
