// SPDX-License-Identifier: Apache-2.0
#pragma once

// A fixture for what goes wrong: a node in network and mount namespaces of the
// test process's own, so that what is left behind can be counted to the last
// mount and link, whatever else the machine is doing.

#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/status.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/own_machine.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {

class BadInputTest : public ::testing::Test {
 protected:
  // Needs root and net. No node yet.
  void SetUp() override;

  // Starts a node, and makes and removes a pod: plugins leave chains and locks
  // of a general kind at their first use.
  void StartNode(NodeOptions options = {});
  // The second half alone.
  void WarmUp();

  // Looks at everything that pods and images are made of.
  void Mark();
  // Fails the test unless it is as it was at Mark().
  void ExpectNothingNew();

  // Loads a handmade image as localhost/NAME:latest. Its id.
  absl::StatusOr<std::string> Load(const std::string& name,
                                   const ImageBuilder& image);
  // A running pod's log.
  absl::StatusOr<std::string> LogOf(const std::string& container);

  std::unique_ptr<TestNode> node_;

 private:
  std::unique_ptr<LeakWatch> watch_;
};

// A call of the CRI that TestNode has no short form of, such as
// CallCri(node_->runtime(), &cri::RuntimeService::Stub::Status, request).
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallCri(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(60));
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (status.ok()) return response;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

// Pulls `image`. The id of what has come.
absl::StatusOr<std::string> PullImage(TestNode& node, const std::string& image);

}  // namespace serai::testing
