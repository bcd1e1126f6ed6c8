// SPDX-License-Identifier: Apache-2.0
#pragma once

// Traffic with guests, from the thread's namespace. Rates are of one second's
// length unless told else.

#include <string>

#include "bench/net/place.h"
#include "lib/base/status.h"

namespace serai::bench {

// GET / over eight connections that stay open, answers each second.
absl::StatusOr<double> HttpRate(const std::string& address, double seconds);
// MB each second of one answer's body.
absl::StatusOr<double> BodyRate(const std::string& address, size_t bytes);
// UDP requests to the echo port, one after the other, answers each second.
absl::StatusOr<double> EchoRate(const std::string& address, double seconds);
// Two echo guests, at the ports 7 and 9, throw 8 datagrams to and fro: round
// trips each second.
absl::StatusOr<double> BetweenRate(const Place& first, const Place& second,
                                   double seconds);

}  // namespace serai::bench
