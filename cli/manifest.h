// SPDX-License-Identifier: Apache-2.0
#pragma once

// A Kubernetes Pod manifest (v1 Pod) to what the CRI is asked: kubelet's part,
// for one pod on one machine with no API server.
//
// Fields that need a cluster (nodeSelector, tolerations, serviceAccountName, …)
// are ignored, and so are unknown ones. What would change how the pod behaves
// and can't be honoured is refused with the field's path.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "proto/cri/common.pb.h"
#include "proto/cri/container.pb.h"

namespace serai::cli {

enum class PullPolicy { kMissing, kAlways, kNever };

// httpGet or tcpSocket; the times and thresholds are Kubernetes'.
struct ReadinessProbe {
  bool http = false;
  std::string host;  // empty: the pod's IP
  int port = 0;
  std::string scheme = "http";  // or https, whose certificate is not checked
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
  absl::Duration initial_delay = absl::ZeroDuration();
  absl::Duration period = absl::Seconds(10);
  absl::Duration timeout = absl::Seconds(1);
};

struct PodManifest {
  // Without a log directory, and with an empty uid where the manifest has none.
  runtime::v1::PodSandboxConfig sandbox;
  // image.image is the reference as written; log_path is set.
  runtime::v1::ContainerConfig container;
  // The container's mounts, by index, that are emptyDirs, with the volume's
  // name: they have no host_path yet (volumes.h).
  std::map<int, std::string> empty_dirs;
  std::string runtime_handler = "unikernel";
  PullPolicy pull_policy = PullPolicy::kMissing;
  std::optional<ReadinessProbe> readiness;
  // What is ignored although its author may count on it; a sentence each.
  std::vector<std::string> notes;
};

// Annotation on a sandbox that says the CLI made it, and so owns its logs.
inline constexpr char kMadeByAnnotation[] = "serai.dev/made-by";
inline constexpr char kMadeByCli[] = "serai-cli";
// Kubelet's names for labels and annotations.
inline constexpr char kPodUidLabel[] = "io.kubernetes.pod.uid";
inline constexpr char kGracePeriodAnnotation[] =
    "io.kubernetes.pod.terminationGracePeriod";
inline constexpr int64_t kDefaultGraceSeconds = 30;

// INVALID_ARGUMENT, naming the field or the line. Reads nothing but `text`.
absl::StatusOr<PodManifest> ParsePodManifest(absl::string_view text);

// Sets the uid wherever it is written down (a sandbox that had none).
void SetUid(PodManifest& manifest, const std::string& uid);

}  // namespace serai::cli
