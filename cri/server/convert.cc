// SPDX-License-Identifier: Apache-2.0
#include "cri/server/convert.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/match.h"

namespace serai::cri {
namespace {

template <typename Map>
bool HasLabels(const Map& labels, const Map& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

v1::ImageSpec ImageOf(const ContainerRecord& record) {
  v1::ImageSpec spec = record.config().image();
  // kubelet asks by id and shows what the pod's author wrote.
  if (!spec.user_specified_image().empty()) {
    spec.set_image(spec.user_specified_image());
  }
  return spec;
}

// A guest has no users. Who was asked for is shown to those who look for it.
void SetUser(const ContainerRecord& record, v1::ContainerStatus& out) {
  const auto& security = record.config().linux().security_context();
  if (!security.has_run_as_user()) return;
  v1::LinuxContainerUser& user = *out.mutable_user()->mutable_linux();
  user.set_uid(security.run_as_user().value());
  user.set_gid(security.run_as_group().value());
  *user.mutable_supplemental_groups() = security.supplemental_groups();
}

}  // namespace

v1::PodSandboxState StateOf(const Pod& pod, const PodRecord& record) {
  return IsReady(pod, record) ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY;
}

v1::PodSandbox ToPodSandbox(const Pod& pod) {
  const std::shared_ptr<const PodRecord> held = pod.record.Read();
  const PodRecord& record = *held;
  v1::PodSandbox out;
  out.set_id(record.id());
  *out.mutable_metadata() = record.config().metadata();
  out.set_state(StateOf(pod, record));
  out.set_created_at(record.created_at_ns());
  *out.mutable_labels() = record.config().labels();
  *out.mutable_annotations() = record.config().annotations();
  out.set_runtime_handler(record.handler());
  return out;
}

v1::PodSandboxStatus ToPodSandboxStatus(const Pod& pod) {
  const std::shared_ptr<const PodRecord> held = pod.record.Read();
  const PodRecord& record = *held;
  v1::PodSandboxStatus out;
  out.set_id(record.id());
  *out.mutable_metadata() = record.config().metadata();
  out.set_state(StateOf(pod, record));
  out.set_created_at(record.created_at_ns());
  const auto& addresses = record.network().addresses();
  for (int i = 0; i < addresses.size(); ++i) {
    if (i == 0) {
      out.mutable_network()->set_ip(addresses[i].address());
    } else {
      out.mutable_network()->add_additional_ips()->set_ip(
          addresses[i].address());
    }
  }
  *out.mutable_linux()->mutable_namespaces()->mutable_options() =
      record.config().linux().security_context().namespace_options();
  *out.mutable_labels() = record.config().labels();
  *out.mutable_annotations() = record.config().annotations();
  out.set_runtime_handler(record.handler());
  return out;
}

v1::ContainerState StateOf(const ContainerRecord& record) {
  switch (PhaseOf(record)) {
    case ContainerPhase::kCreated:
      return v1::CONTAINER_CREATED;
    case ContainerPhase::kRunning:
      return v1::CONTAINER_RUNNING;
    case ContainerPhase::kExited:
      return v1::CONTAINER_EXITED;
  }
  return v1::CONTAINER_UNKNOWN;
}

v1::Container ToContainer(const ContainerRecord& record) {
  v1::Container out;
  out.set_id(record.id());
  out.set_pod_sandbox_id(record.pod_id());
  *out.mutable_metadata() = record.config().metadata();
  *out.mutable_image() = ImageOf(record);
  out.set_image_ref(record.image_ref());
  out.set_image_id(record.image_id());
  out.set_state(StateOf(record));
  out.set_created_at(record.created_at_ns());
  *out.mutable_labels() = record.config().labels();
  *out.mutable_annotations() = record.config().annotations();
  return out;
}

v1::ContainerStatus ToContainerStatus(const ContainerRecord& record) {
  v1::ContainerStatus out;
  out.set_id(record.id());
  *out.mutable_metadata() = record.config().metadata();
  out.set_state(StateOf(record));
  out.set_created_at(record.created_at_ns());
  out.set_started_at(record.started_at_ns());
  out.set_finished_at(record.finished_at_ns());
  out.set_exit_code(record.exit_code());
  *out.mutable_image() = ImageOf(record);
  out.set_image_ref(record.image_ref());
  out.set_image_id(record.image_id());
  out.set_reason(record.reason());
  out.set_message(record.message());
  *out.mutable_labels() = record.config().labels();
  *out.mutable_annotations() = record.config().annotations();
  *out.mutable_mounts() = record.config().mounts();
  out.set_log_path(record.log_path());
  SetUser(record, out);
  // Whatever was asked for: other signals mean something else to a tender.
  out.set_stop_signal(v1::SIGNAL_SIGTERM);
  *out.mutable_resources()->mutable_linux() =
      record.config().linux().resources();
  return out;
}

v1::ContainerEventResponse ToEvent(const Store& store, const Event& event) {
  v1::ContainerEventResponse out;
  out.set_container_id(event.container_id);
  out.set_container_event_type(event.type);
  out.set_created_at(event.time_ns);
  if (const auto pod = store.FindPod(event.pod_id); pod.ok()) {
    *out.mutable_pod_sandbox_status() = ToPodSandboxStatus(**pod);
  }
  for (const auto& container : store.ContainersOf(event.pod_id)) {
    *out.add_containers_statuses() =
        ToContainerStatus(*container->record.Read());
  }
  return out;
}

v1::Image ToImage(const Image& image) {
  v1::Image out;
  out.set_id(image.id);
  for (const std::string& tag : image.repo_tags) out.add_repo_tags(tag);
  for (const std::string& digest : image.repo_digests) {
    out.add_repo_digests(digest);
  }
  out.set_size(static_cast<uint64_t>(image.size));
  // "uid", "name", and either with ":group".
  const std::string user =
      image.config.user.substr(0, image.config.user.find(':'));
  int64_t uid = 0;
  const auto [end, error] =
      std::from_chars(user.data(), user.data() + user.size(), uid);
  if (error == std::errc() && end == user.data() + user.size()) {
    out.mutable_uid()->set_value(uid);
  } else {
    out.set_username(user);
  }
  out.set_pinned(image.pinned);
  out.mutable_spec()->set_image(
      image.repo_tags.empty() ? image.id : image.repo_tags.front());
  return out;
}

bool Passes(const v1::PodSandbox& pod, const v1::PodSandboxFilter& filter) {
  return absl::StartsWith(pod.id(), filter.id()) &&
         (!filter.has_state() || filter.state().state() == pod.state()) &&
         HasLabels(pod.labels(), filter.label_selector());
}

bool Passes(const v1::Container& container, const v1::ContainerFilter& filter) {
  return absl::StartsWith(container.id(), filter.id()) &&
         (!filter.has_state() || filter.state().state() == container.state()) &&
         absl::StartsWith(container.pod_sandbox_id(),
                          filter.pod_sandbox_id()) &&
         HasLabels(container.labels(), filter.label_selector());
}

}  // namespace serai::cri
