// SPDX-License-Identifier: Apache-2.0
#pragma once

// A shim as containerd starts and calls it, and what it is to run: so that ours
// and runc's are told the same, in the same order, by the same client.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/client.h"

namespace serai::bench {

struct Contestant {
  std::string name;
  std::string shim;                // the program
  std::vector<std::string> env;    // beside PATH and TTRPC_ADDRESS
  std::string program;             // a file: the only one of the root
  std::vector<std::string> args;   // of the program; it says a word, and stays
  std::string containerd_address;  // takes the shims' events
  std::string cgroup;              // that of the tasks' is below it
};

// One task of a contestant in a shim of its own. Calls must be made in the
// order in which they stand. What is not deleted goes with the machine that the
// benchmark has for itself.
class ShimRun {
 public:
  // Makes the bundle in the new directory `bundle`.
  static absl::StatusOr<std::unique_ptr<ShimRun>> Prepare(
      const Contestant& contestant, const std::string& id,
      const std::string& bundle);

  // Runs the shim's start command and connects to what it has started.
  absl::Status StartShim();
  // Creates and starts the task, and waits for its first output.
  absl::Status StartTask();
  // Kills the task, waits for its end, deletes it.
  absl::Status EndTask();
  // Has the shim end, and waits until it has.
  absl::Status EndShim();

  pid_t shim_pid() const { return pid_; }

 private:
  ShimRun(const Contestant& contestant, std::string id, std::string bundle);
  absl::Status OpenOutput();
  absl::Status AwaitOutput() const;

  const Contestant contestant_;
  const std::string id_;
  const std::string bundle_;
  UniqueFd output_;
  std::unique_ptr<ttrpc::Client> client_;
  pid_t pid_ = 0;
};

}  // namespace serai::bench
