// SPDX-License-Identifier: Apache-2.0
#pragma once

// Probes a pod from outside, as kubelet would.

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cli/manifest.h"

namespace serai::cli {

// One thread at a time.
class Prober {
 public:
  // `ip` is the pod's; used where the probe names no host.
  Prober(const ReadinessProbe& probe, const std::string& ip);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // One attempt, of at most the probe's timeout: whether the port takes a
  // connection, and for httpGet answers with a status from 200 to 399.
  bool Try();
  // Why the last attempt failed.
  const std::string& reason() const { return reason_; }

 private:
  struct Request;
  std::unique_ptr<Request> request_;
  std::string reason_;
};

}  // namespace serai::cli
