// SPDX-License-Identifier: Apache-2.0
#pragma once

// Answers a guest that asks for its address by DHCP: on the guest's tap, where
// nobody else hears it. What else passes there is left alone.

#include <memory>
#include <string>
#include <utility>

#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/guest_devices.h"
#include "shim/dhcp_message.h"

namespace serai::shim {

// A packet socket, non-blocking, that gets the DHCP messages which the guest at
// `tap`, of the network namespace we are in, sends, and nothing else.
absl::StatusOr<UniqueFd> OpenDhcpSocket(const std::string& tap);

// Used on the loop's thread; ends with the object.
class DhcpResponder {
 public:
  // `socket` is OpenDhcpSocket()'s, for `device`, which has a lease. The loop
  // outlives the responder.
  static absl::StatusOr<std::unique_ptr<DhcpResponder>> Create(
      EventLoop& loop, UniqueFd socket, const oci::GuestDevice& device);
  ~DhcpResponder();
  DhcpResponder(const DhcpResponder&) = delete;
  DhcpResponder& operator=(const DhcpResponder&) = delete;

 private:
  DhcpResponder(EventLoop& loop, UniqueFd socket, DhcpFacts facts)
      : loop_(loop), socket_(std::move(socket)), facts_(std::move(facts)) {}
  void AnswerSome() const;

  EventLoop& loop_;
  const UniqueFd socket_;
  const DhcpFacts facts_;
};

}  // namespace serai::shim
