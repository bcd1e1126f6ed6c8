// SPDX-License-Identifier: Apache-2.0
#pragma once

// One of our guests under the tender of the build tree, as a child process of
// the test. It is killed and reaped when the object goes, at the latest when
// the test's own process does.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

// $SERAI_TENDER, or serai-tender of the build tree.
std::string TenderPath();

struct GuestSpec {
  std::string name;                    // "web"
  std::string target;                  // "hvt" or "spt"
  std::vector<std::string> devices;    // tender options: "--net:service=tap0"
  std::vector<std::string> args = {};  // the guest's own
  int memory_mib = 32;
};

class GuestProcess {
 public:
  explicit GuestProcess(const GuestSpec& spec);
  ~GuestProcess();
  GuestProcess(const GuestProcess&) = delete;
  GuestProcess& operator=(const GuestProcess&) = delete;

  // What the guest wrote to its console, and the tender to stderr, so far.
  std::string Output() const;
  // Waits until that contains `text`; false when the guest ends or a minute
  // goes by without.
  bool WaitForOutput(absl::string_view text);

  bool Running();
  // The exit status, 128 + n when signal n ended it; nullopt (and the guest
  // still runs) when that takes longer.
  std::optional<int> Wait(absl::Duration timeout = absl::Seconds(30));
  void Kill(int signal_number);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
  UniqueFd output_;
};

// Runs the guest to its end.
struct GuestResult {
  int status = -1;  // -1: killed for taking too long
  std::string output;
};
GuestResult RunGuest(const GuestSpec& spec);

}  // namespace serai::testing
