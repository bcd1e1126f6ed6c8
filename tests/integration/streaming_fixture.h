// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node, and clients of its streaming server: a kubelet's side of attach and
// port-forward.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/require.h"
#include "tests/support/spdy_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {

class StreamingFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    StartNode("");
  }

  void StartNode(const std::string& more_config) {
    NodeOptions options;
    options.chained = {};
    options.more_config = more_config;
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
  }

  absl::StatusOr<CriClient::Running> RunWeb(const std::string& name);

  absl::StatusOr<std::string> PortForwardUrl(const std::string& pod,
                                             std::vector<int> ports = {});
  absl::StatusOr<std::string> AttachUrl(const std::string& container,
                                        bool in = false, bool tty = false,
                                        bool err = false);

  absl::StatusOr<std::unique_ptr<SpdyClient>> ForwardPorts(
      const std::string& pod, const TlsFiles& files = {});
  absl::StatusOr<std::unique_ptr<SpdyClient>> AttachTo(
      const std::string& container, bool in = false);

  // The streams of one forwarded connection.
  struct Pair {
    std::shared_ptr<SpdyClient::Stream> error;
    std::shared_ptr<SpdyClient::Stream> data;
  };
  // Opens them as kubectl does: its end of the error stream is closed at once.
  static absl::StatusOr<Pair> Connect(SpdyClient& client, int port,
                                      int request);

  std::unique_ptr<TestNode> node_;
};

// Checks what /bytes of the guest `web` sends, as it arrives.
class BytesChecker {
 public:
  static constexpr size_t kLine = 64;

  void Take(absl::string_view data);
  // Of the body.
  uint64_t size() const { return position_; }
  bool right() const { return right_; }
  const std::string& head() const { return head_; }

 private:
  std::string head_;
  bool in_body_ = false;
  bool right_ = true;
  uint64_t position_ = 0;
  char line_[kLine];  // the one at position_
};

inline constexpr char kGetRoot[] =
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

}  // namespace serai::testing
