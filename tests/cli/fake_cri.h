// SPDX-License-Identifier: Apache-2.0
#pragma once

// A CRI server in this process that keeps pods, containers and images in
// memory. Containers "run" by state alone; a test says what they print and when
// they end.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "proto/cri/container.pb.h"
#include "proto/cri/image.pb.h"
#include "proto/cri/pod.pb.h"

namespace serai::testing {

class FakeCri {
 public:
  FakeCri();
  ~FakeCri();
  FakeCri(const FakeCri&) = delete;
  FakeCri& operator=(const FakeCri&) = delete;

  // The socket that it listens on.
  const std::string& socket() const;

  // The next calls of `method` ("RunPodSandbox") fail like this; OK: no longer.
  void Fail(const std::string& method, const absl::Status& status);
  // An image that is there; returns its id.
  std::string AddImage(const std::string& name);
  // ImageStatus' info["image"].
  void SetImageInfo(const std::string& json);
  // An IP for the pods that come; 127.0.0.1 without this.
  void SetIp(const std::string& ip);
  // Containers that start write this to their log, as CRI lines.
  void SetLog(const std::string& lines);
  // Containers end at once with this code.
  void ExitAtStart(int code);
  // All running containers end with this code.
  void ExitAll(int code);

  // A pod and a container that another client made.
  std::string AddPod(const std::string& name_space, const std::string& name,
                     bool ready = true);

  // Methods that were called, in order, without the polling ones (…Status,
  // List…).
  std::vector<std::string> calls() const;
  size_t pods() const;
  size_t containers() const;
  runtime::v1::RunPodSandboxRequest last_run() const;
  runtime::v1::CreateContainerRequest last_create() const;
  runtime::v1::StopContainerRequest last_stop() const;
  runtime::v1::PullImageRequest last_pull() const;
  // What LoadImage was sent: the name, and all data.
  std::string loaded_name() const;
  std::string loaded_data() const;

 private:
  struct State;
  class Runtime;
  class Images;
  class Control;

  std::unique_ptr<State> state_;
};

}  // namespace serai::testing
