// SPDX-License-Identifier: Apache-2.0
#pragma once

// A fixture for tests that count what is left behind: a node in network and
// mount namespaces of its own, so that nobody else's links, rules and mounts
// are counted and none of the test's outlives it.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/leak.h"
#include "tests/support/test_node.h"

namespace serai::testing {

// The kinds of things that pods are made of (tests/support/leak.h), and the
// node's files. Of control groups and mounts the node's; of processes those in
// our mount namespace.
class LeakWatch {
 public:
  // The node must outlive it.
  explicit LeakWatch(const TestNode& node);

  // What has changed since, once the kernel had its time.
  std::vector<std::string> Leaks() const;

 private:
  bool IsOurs(absl::string_view change) const;

  const TestNode& node_;
  const Snapshot before_;
};

class OwnMachineTest : public ::testing::Test {
 protected:
  // Skips without "root" and "net". Starts the node and loads the guests.
  void SetUp() override;

  // Overridden by tests that want another kind of node.
  virtual NodeOptions Options() { return {}; }

  // A guest's image, for hvt and spt in turn; without /dev/kvm all are spt.
  const std::string& Web(int turn) const;
  const std::string& Exit(int turn) const;

  // One pod's life. CNI plugins leave chains and files of a general kind at
  // their first use: a LeakWatch comes after it.
  void WarmUp();

  // The pod's shim and the container's tender, by their cgroups; 0 when there
  // is not exactly one process.
  pid_t ShimOf(const TestNode::Running& run) const;
  pid_t TenderOf(const TestNode::Running& run) const;

  std::unique_ptr<TestNode> node_;

 private:
  pid_t OnlyProcessOf(const std::string& id) const;

  std::vector<std::string> web_;
  std::vector<std::string> exit_;
};

}  // namespace serai::testing
