// SPDX-License-Identifier: Apache-2.0
#pragma once

// The way of a manifest to a ready pod: what kubelet does with the CRI for one
// pod, once.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/manifest.h"
#include "lib/base/rollback.h"
#include "lib/base/status.h"

namespace serai::cli {

class PodRun {
 public:
  struct Timing {
    std::string step;
    absl::Duration time;
  };
  // Whether the user wants it all to end.
  using Interrupted = std::function<bool()>;

  // `client` must outlive this. A manifest without a uid gets one.
  PodRun(Client& client, PodManifest manifest, Interrupted interrupted);

  // Refuses a pod whose name is taken.
  absl::Status CheckName();
  // Finds or pulls the image, as the manifest's policy says.
  absl::Status EnsureImage();
  // Makes log directory, pod and container, and starts it. Each step's undo
  // goes to `rollback`. `log_directory` is absolute.
  absl::Status Start(const std::string& log_directory, Rollback& rollback);
  // Waits until the container runs, and its readiness probe (if it has one)
  // succeeds, or until it has ended with exit code 0, or any if `may_fail`.
  // DEADLINE_EXCEEDED after `timeout`.
  absl::Status WaitReady(absl::Duration timeout, bool may_fail);

  const PodManifest& manifest() const { return manifest_; }
  const std::string& pod_id() const { return pod_id_; }
  const std::string& container_id() const { return container_id_; }
  const std::string& ip() const { return ip_; }
  // As WaitReady saw it last.
  const v1::ContainerStatus& container() const { return container_; }
  const std::vector<Timing>& timings() const { return timings_; }
  // The container's log file; empty before Start.
  const std::string& log_path() const { return log_path_; }

 private:
  absl::Status MakeLogDirectory(const std::string& directory,
                                Rollback& rollback);
  absl::Status RunSandbox(Rollback& rollback);
  absl::Status CreateContainer();
  absl::Status StartContainer();
  absl::Status CheckInterrupted() const;
  template <typename F>
  auto Timed(const char* step, F call);

  Client& client_;
  PodManifest manifest_;
  Interrupted interrupted_;
  std::string pod_id_;
  std::string container_id_;
  std::string ip_;
  std::string log_path_;
  v1::ContainerStatus container_;
  std::vector<Timing> timings_;
};

// A random UUID.
std::string NewUid();

}  // namespace serai::cli
