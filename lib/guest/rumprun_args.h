// SPDX-License-Identifier: Apache-2.0
#pragma once

// The command line of a rumprun unikernel: one JSON object with the program's
// own arguments, its environment, its network and its disk in it. Pure
// functions, any thread.

#include <string>
#include <vector>

#include "lib/guest/network_args.h"
#include "lib/oci/guest_devices.h"

namespace serai::guest {

struct RumprunProgram {
  std::string name;               // what it is called: its argv[0]
  std::vector<std::string> args;  // the rest
  std::vector<std::string> env;   // "KEY=value"
  std::string cwd;                // empty: "/"
};

// The object, in one line. The first network device is configured with its IPv4
// address, the first block device mounted at /data. The guest takes the line as
// it is: no rule of quoting but JSON's, and in "cmdline" rumprun's, applies.
std::string RumprunCommandLine(const RumprunProgram& program,
                               const NetworkFacts& facts,
                               const std::vector<oci::GuestDevice>& devices);

}  // namespace serai::guest
