// SPDX-License-Identifier: Apache-2.0
#pragma once

// Places for guests on a network of the benchmark's own: a namespace that
// stands for the node, which the thread enters, and namespaces for pods.

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace serai::bench {

enum class Wiring {
  kBareTap,    // the tap is the node's end of the wire
  kRedirect,   // veth pair on a bridge, tc redirect to a tap in the pod
  kNodeTap,    // a tap on a bridge
  kUnguarded,  // the same without the guard, to see what that costs
};

// Where a guest is to be started.
struct Place {
  UniqueFd netns;  // -1: the node's
  std::string tap;
  std::string mac;
  std::string address;
};

class Network {
 public:
  // Makes the namespace and goes there.
  static absl::StatusOr<std::unique_ptr<Network>> Enter();
  ~Network();

  // A place for another guest. All places are on one bridge; a bare tap has no
  // other beside it.
  absl::StatusOr<Place> Add(Wiring wiring);

 private:
  Network() = default;
  absl::Status AddBare(Place& place);
  absl::Status AddRedirected(Place& place);
  absl::Status AddOnNode(Place& place, bool guarded);

  const testing::TempDir directory_;
  int places_ = 0;
};

// Runs a line of the shell's.
absl::Status Shell(const std::string& line);

}  // namespace serai::bench
