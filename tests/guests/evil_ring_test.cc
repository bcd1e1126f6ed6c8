// SPDX-License-Identifier: Apache-2.0
// A hostile guest with a network ring, and a peer that sends it frames in the
// shape of a hypercall's structure.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/guests/testing/ring_cases.h"
#include "tests/guests/testing/run_case.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

class EvilRingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("kvm");
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends),
              0);
    peer_.reset(ends[0]);
    ASSERT_EQ(::dup2(ends[1], kRingDevice), kRingDevice);
    ::close(ends[1]);
    guest_.reset(kRingDevice);
    thread_ = std::thread([this] { Chatter(); });
  }
  void TearDown() override {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  // Takes all that comes, and sends what a net write to nowhere would be.
  void Chatter() {
    const uint64_t frame[4] = {1, 0x1000, ~uint64_t{0}, 0};
    char buffer[4096];
    while (!done_) {
      pollfd ready = {peer_.get(), POLLIN, 0};
      ::poll(&ready, 1, 5);
      while (::recv(peer_.get(), buffer, sizeof(buffer), 0) > 0) {
      }
      while (::send(peer_.get(), frame, sizeof(frame), MSG_NOSIGNAL) > 0) {
      }
    }
  }

  UniqueFd peer_;
  UniqueFd guest_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

TEST_F(EvilRingTest, Corruption) { RunCases(kRingCases); }
TEST_F(EvilRingTest, CorruptionAtLevel0) { RunCasesAtLevel0(kRingCases); }
TEST_F(EvilRingTest, Races) { RunCases(kRingRaces); }

}  // namespace
}  // namespace serai::testing
