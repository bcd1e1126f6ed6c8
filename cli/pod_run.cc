// SPDX-License-Identifier: Apache-2.0
#include "cli/pod_run.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "cli/output.h"
#include "cli/pods.h"
#include "cli/readiness.h"
#include "cli/removal.h"
#include "cli/volumes.h"
#include "lib/base/file.h"

namespace serai::cli {
namespace {

v1::ImageSpec SpecOf(const PodManifest& manifest) {
  v1::ImageSpec spec;
  spec.set_image(manifest.container.image().image());
  *spec.mutable_annotations() = manifest.sandbox.annotations();
  return spec;
}

absl::Status EndedEarly(const v1::ContainerStatus& container) {
  std::string why =
      absl::StrCat("container ", container.metadata().name(),
                   " ended with exit code ", container.exit_code());
  if (!container.reason().empty()) {
    absl::StrAppend(&why, " (", container.reason(), ")");
  }
  if (!container.message().empty()) {
    absl::StrAppend(&why, ": ", container.message());
  }
  return absl::AbortedError(why);
}

}  // namespace

std::string NewUid() {
  std::array<char, 16> bytes = {};
  // Never fails nor is short for so few bytes.
  if (::getrandom(bytes.data(), bytes.size(), 0) < 0) return "";
  // Version 4, variant 1 (RFC 9562).
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text =
      absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
  for (const size_t at : std::array<size_t, 4>{8, 13, 18, 23})
    text.insert(at, 1, '-');
  return text;
}

PodRun::PodRun(Client& client, PodManifest manifest, Interrupted interrupted)
    : client_(client),
      manifest_(std::move(manifest)),
      interrupted_(std::move(interrupted)) {
  if (manifest_.sandbox.metadata().uid().empty()) SetUid(manifest_, NewUid());
}

// Runs `call` and notes how long it took, also when it failed.
template <typename F>
auto PodRun::Timed(const char* step, F call) {
  const absl::Time start = absl::Now();
  auto result = call();
  timings_.push_back({step, absl::Now() - start});
  return result;
}

absl::Status PodRun::CheckInterrupted() const {
  return interrupted_() ? absl::CancelledError("interrupted")
                        : absl::OkStatus();
}

absl::Status PodRun::CheckName() {
  ASSIGN_OR_RETURN(const auto pods, ListPods(client_));
  const std::string name = PodName(manifest_.sandbox.metadata());
  for (const auto& pod : pods) {
    if (PodName(pod.metadata()) == name) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a pod ", name, " already (", ShortId(pod.id()),
                       "): remove it first, with serai rm ", name));
    }
  }
  return absl::OkStatus();
}

absl::Status PodRun::EnsureImage() {
  v1::ImageSpec& image = *manifest_.container.mutable_image();
  const std::string name = image.image();
  if (manifest_.pull_policy != PullPolicy::kAlways) {
    v1::ImageStatusRequest request;
    *request.mutable_image() = SpecOf(manifest_);
    ASSIGN_OR_RETURN(const auto status, client_.ImageStatus(request),
                     "looking for image ", name);
    if (status.has_image()) {
      image.set_image(status.image().id());
      return absl::OkStatus();
    }
    if (manifest_.pull_policy == PullPolicy::kNever) {
      return absl::NotFoundError(
          absl::StrCat("image ", name,
                       " is not here and is never to be pulled: bring it "
                       "with serai load, or change the policy (--pull)"));
    }
  }
  v1::PullImageRequest request;
  *request.mutable_image() = SpecOf(manifest_);
  *request.mutable_sandbox_config() = manifest_.sandbox;
  ASSIGN_OR_RETURN(
      const auto pulled,
      Timed("PullImage", [&] { return client_.PullImage(request); }),
      "pulling image ", name);
  image.set_image(pulled.image_ref());
  return absl::OkStatus();
}

absl::Status PodRun::Start(const std::string& log_directory,
                           Rollback& rollback) {
  RETURN_IF_ERROR(MakeLogDirectory(log_directory, rollback));
  RETURN_IF_ERROR(MakeEmptyDirs(manifest_, rollback), "making its volumes");
  RETURN_IF_ERROR(CheckInterrupted());
  RETURN_IF_ERROR(RunSandbox(rollback), "running the pod");
  RETURN_IF_ERROR(CheckInterrupted());
  RETURN_IF_ERROR(CreateContainer(), "creating the container");
  RETURN_IF_ERROR(CheckInterrupted());
  return Annotate(StartContainer(), "starting the container");
}

// As in kubelet's world the runtime makes the file and its client the
// directories.
absl::Status PodRun::MakeLogDirectory(const std::string& directory,
                                      Rollback& rollback) {
  const std::string container =
      JoinPath(directory, manifest_.container.metadata().name());
  for (const std::string& path : {directory, container}) {
    if (!PathExists(path)) {
      rollback.Add("removing the log directory",
                   [path] { return RemovePath(path); });
    }
    RETURN_IF_ERROR(MakeDirs(path, 0750));
  }
  manifest_.sandbox.set_log_directory(directory);
  log_path_ = JoinPath(directory, manifest_.container.log_path());
  return absl::OkStatus();
}

absl::Status PodRun::RunSandbox(Rollback& rollback) {
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = manifest_.sandbox;
  request.set_runtime_handler(manifest_.runtime_handler);
  ASSIGN_OR_RETURN(const auto response, Timed("RunPodSandbox", [&] {
                     return client_.RunPodSandbox(request);
                   }));
  pod_id_ = response.pod_sandbox_id();
  rollback.Add("removing the pod", [&client = client_, id = pod_id_] {
    return RemovePod(client, id, std::nullopt);
  });
  ASSIGN_OR_RETURN(const auto status, PodStatus(client_, pod_id_));
  ip_ = status.network().ip();
  return absl::OkStatus();
}

absl::Status PodRun::CreateContainer() {
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod_id_);
  *request.mutable_config() = manifest_.container;
  *request.mutable_sandbox_config() = manifest_.sandbox;
  ASSIGN_OR_RETURN(const auto response, Timed("CreateContainer", [&] {
                     return client_.CreateContainer(request);
                   }));
  container_id_ = response.container_id();
  return absl::OkStatus();
}

absl::Status PodRun::StartContainer() {
  v1::StartContainerRequest request;
  request.set_container_id(container_id_);
  return Timed("StartContainer",
               [&] { return client_.StartContainer(request).status(); });
}

absl::Status PodRun::WaitReady(absl::Duration timeout, bool may_fail) {
  const absl::Time start = absl::Now();
  std::optional<Prober> prober;
  if (manifest_.readiness.has_value()) {
    prober.emplace(*manifest_.readiness, ip_);
  }
  absl::Duration pause = absl::Milliseconds(1);
  for (;;) {
    ASSIGN_OR_RETURN(container_, StatusOfContainer(client_, container_id_));
    const bool exited = container_.state() == v1::CONTAINER_EXITED;
    if (exited && container_.exit_code() != 0 && !may_fail) {
      return EndedEarly(container_);
    }
    const bool running = container_.state() == v1::CONTAINER_RUNNING;
    const bool due =
        prober && absl::Now() - start >= manifest_.readiness->initial_delay;
    if (exited || (running && (!prober || (due && prober->Try())))) break;
    RETURN_IF_ERROR(CheckInterrupted());
    if (absl::Now() - start >= timeout) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the pod is not ready after ", absl::FormatDuration(timeout),
          prober ? absl::StrCat(": its readiness probe: ", prober->reason())
                 : ""));
    }
    absl::SleepFor(pause);
    pause = std::min({pause * 3 / 2, absl::Milliseconds(200)});
  }
  timings_.push_back({"Ready", absl::Now() - start});
  return absl::OkStatus();
}

}  // namespace serai::cli
