// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest's network stack for tests, at the reading end of a tap: answers ARP
// and ping, echoes UDP and TCP on port 7, and judges every frame it is given as
// a guest without offloads would: valid checksums, no more than the MTU. On a
// thread of its own until destroyed.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "lib/base/unique_fd.h"

namespace serai::testing {

class TapPeer {
 public:
  struct Seen {
    std::atomic<size_t> frames = 0;
    std::atomic<size_t> ours = 0;  // frames for the peer's MAC or broadcast
    std::atomic<size_t> longest = 0;
    std::atomic<size_t> bad_checksums = 0;
  };

  // `tap` is non-blocking. `mac` is "aa:bb:…", `ip` a dotted quad.
  TapPeer(UniqueFd tap, const std::string& mac, const std::string& ip,
          size_t mtu = 1500);
  ~TapPeer();
  TapPeer(const TapPeer&) = delete;
  TapPeer& operator=(const TapPeer&) = delete;

  const Seen& seen() const { return seen_; }

 private:
  void Run();
  void OnFrame(const uint8_t* frame, size_t size);
  void OnArp(const uint8_t* frame, size_t size);
  void OnIp(const uint8_t* frame, size_t size);
  void OnEcho(const uint8_t* frame, size_t size);
  void OnTcp(const uint8_t* frame, size_t size);
  void SendPending();
  void SendTcp(uint8_t flags, uint32_t sequence, const std::string& data);
  void SendIp(uint8_t protocol, const uint8_t* to_mac, const uint8_t* to_ip,
              std::string payload);

  // The one connection there can be.
  struct Connection {
    std::array<uint8_t, 6> mac = {};
    std::array<uint8_t, 4> ip = {};
    uint16_t port = 0;
    uint32_t received = 0;      // next sequence number expected
    uint32_t acknowledged = 0;  // first byte of `out`
    uint32_t sent = 0;          // next sequence number to send
    uint32_t window = 0;
    bool peer_finished = false;
    bool finished = false;
    std::string out;
  };

  UniqueFd tap_;
  UniqueFd stop_;
  std::array<uint8_t, 6> mac_ = {};
  std::array<uint8_t, 4> ip_ = {};
  size_t mtu_;
  Connection connection_;
  Seen seen_;
  std::thread thread_;
};

// Opens the existing persistent tap `name` of the caller's thread's network
// namespace, non-blocking; invalid when it can't.
UniqueFd OpenTap(const std::string& name);

}  // namespace serai::testing
