// SPDX-License-Identifier: Apache-2.0
#pragma once

// A service with a SPDY session in front of it, and no connection.

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "tests/cri/streaming/fake_backend.h"
#include "tests/cri/streaming/fake_host.h"
#include "tests/support/status_matchers.h"

namespace serai::cri::streaming {

class ServiceFixture : public ::testing::Test {
 protected:
  void Receive(const std::string& bytes) { ASSERT_OK(session_.Receive(bytes)); }
  void Open(uint32_t id, const spdy::Headers& headers, uint8_t flags = 0) {
    Receive(spdy::ClientSynStream(encoder_, id, headers, flags));
  }

  // Handles what comes until `done`; false when it takes too long. What is sent
  // is taken at once.
  template <typename Done>
  bool RunUntil(Done done) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.restart();
      io_.run_for(std::chrono::milliseconds(5));
      host_.Flush();
    }
    return true;
  }

  boost::asio::io_context io_;
  FakeBackend backend_;
  spdy::FakeHost host_;
  spdy::HeaderEncoder encoder_;  // the client's
  spdy::Session session_{host_};
};

}  // namespace serai::cri::streaming
