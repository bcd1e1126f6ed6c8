// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_cri.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/file.h"
#include "proto/control/control.grpc.pb.h"
#include "proto/cri/service.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {

namespace v1 = runtime::v1;

namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

grpc::Status NotFound(const std::string& id) {
  return grpc::Status(grpc::StatusCode::NOT_FOUND, id + " is not here");
}

}  // namespace

struct FakeCri::State {
  // What a handler starts with: notes the call, and fails it if it is to.
  grpc::Status Enter(const std::string& method) {
    if (method.find("Status") == std::string::npos &&
        method.rfind("List", 0) != 0) {
      calls.push_back(method);
    }
    const auto it = failures.find(method);
    return it == failures.end() ? grpc::Status::OK : ToGrpc(it->second);
  }

  std::string NewId() { return absl::StrFormat("%064x", ++last_id); }

  void End(v1::ContainerStatus& container, int code) {
    container.set_state(v1::CONTAINER_EXITED);
    container.set_exit_code(code);
    container.set_reason(code == 0 ? "Completed" : "Error");
    container.set_finished_at(++last_id);
  }

  mutable std::mutex mutex;
  TempDir directory;
  std::string socket;
  std::map<std::string, absl::Status> failures;
  std::vector<std::string> calls;
  int64_t last_id = 0x1000'0000'0000'0000;
  std::map<std::string, v1::PodSandboxStatus> pods;
  struct Container {
    v1::ContainerStatus status;
    std::string pod;
  };
  std::map<std::string, Container> containers;
  std::map<std::string, std::string> images;  // name to id
  std::string image_info;
  std::string ip = "127.0.0.1";
  std::string log;
  std::optional<int> exit_at_start;
  v1::RunPodSandboxRequest last_run;
  v1::CreateContainerRequest last_create;
  v1::StopContainerRequest last_stop;
  v1::PullImageRequest last_pull;
  std::string loaded_name;
  std::string loaded_data;
  std::unique_ptr<Runtime> runtime_service;
  std::unique_ptr<Images> image_service;
  std::unique_ptr<Control> control_service;
  std::unique_ptr<grpc::Server> server;
};

#define FAKE_ENTER(method)                          \
  const std::lock_guard<std::mutex> lock(s_.mutex); \
  if (const grpc::Status status = s_.Enter(#method); !status.ok()) return status

class FakeCri::Runtime final : public v1::RuntimeService::Service {
 public:
  explicit Runtime(State& state) : s_(state) {}

  grpc::Status Version(grpc::ServerContext*, const v1::VersionRequest*,
                       v1::VersionResponse* response) override {
    FAKE_ENTER(Version);
    response->set_version("0.1.0");
    response->set_runtime_name("fake");
    response->set_runtime_version("1.2.3");
    response->set_runtime_api_version("v1");
    return grpc::Status::OK;
  }

  grpc::Status RunPodSandbox(grpc::ServerContext*,
                             const v1::RunPodSandboxRequest* request,
                             v1::RunPodSandboxResponse* response) override {
    FAKE_ENTER(RunPodSandbox);
    s_.last_run = *request;
    v1::PodSandboxStatus pod;
    pod.set_id(s_.NewId());
    *pod.mutable_metadata() = request->config().metadata();
    *pod.mutable_labels() = request->config().labels();
    *pod.mutable_annotations() = request->config().annotations();
    pod.set_runtime_handler(request->runtime_handler());
    pod.mutable_network()->set_ip(s_.ip);
    pod.set_created_at(1);
    response->set_pod_sandbox_id(pod.id());
    s_.pods[pod.id()] = std::move(pod);
    return grpc::Status::OK;
  }

  grpc::Status StopPodSandbox(grpc::ServerContext*,
                              const v1::StopPodSandboxRequest* request,
                              v1::StopPodSandboxResponse*) override {
    FAKE_ENTER(StopPodSandbox);
    const auto it = s_.pods.find(request->pod_sandbox_id());
    if (it != s_.pods.end()) it->second.set_state(v1::SANDBOX_NOTREADY);
    return grpc::Status::OK;
  }

  grpc::Status RemovePodSandbox(grpc::ServerContext*,
                                const v1::RemovePodSandboxRequest* request,
                                v1::RemovePodSandboxResponse*) override {
    FAKE_ENTER(RemovePodSandbox);
    s_.pods.erase(request->pod_sandbox_id());
    std::erase_if(s_.containers, [&](const auto& item) {
      return item.second.pod == request->pod_sandbox_id();
    });
    return grpc::Status::OK;
  }

  grpc::Status PodSandboxStatus(
      grpc::ServerContext*, const v1::PodSandboxStatusRequest* request,
      v1::PodSandboxStatusResponse* response) override {
    FAKE_ENTER(PodSandboxStatus);
    const auto it = s_.pods.find(request->pod_sandbox_id());
    if (it == s_.pods.end()) return NotFound(request->pod_sandbox_id());
    *response->mutable_status() = it->second;
    return grpc::Status::OK;
  }

  grpc::Status ListPodSandbox(grpc::ServerContext*,
                              const v1::ListPodSandboxRequest*,
                              v1::ListPodSandboxResponse* response) override {
    FAKE_ENTER(ListPodSandbox);
    for (const auto& [id, pod] : s_.pods) {
      v1::PodSandbox& item = *response->add_items();
      item.set_id(id);
      *item.mutable_metadata() = pod.metadata();
      item.set_state(pod.state());
      item.set_created_at(pod.created_at());
      item.set_runtime_handler(pod.runtime_handler());
    }
    return grpc::Status::OK;
  }

  grpc::Status CreateContainer(grpc::ServerContext*,
                               const v1::CreateContainerRequest* request,
                               v1::CreateContainerResponse* response) override {
    FAKE_ENTER(CreateContainer);
    s_.last_create = *request;
    v1::ContainerStatus container;
    container.set_id(s_.NewId());
    *container.mutable_metadata() = request->config().metadata();
    *container.mutable_image() = request->config().image();
    *container.mutable_labels() = request->config().labels();
    *container.mutable_annotations() = request->config().annotations();
    container.set_created_at(1);
    container.set_log_path(JoinPath(request->sandbox_config().log_directory(),
                                    request->config().log_path()));
    response->set_container_id(container.id());
    s_.containers[container.id()] = {container, request->pod_sandbox_id()};
    return grpc::Status::OK;
  }

  grpc::Status StartContainer(grpc::ServerContext*,
                              const v1::StartContainerRequest* request,
                              v1::StartContainerResponse*) override {
    FAKE_ENTER(StartContainer);
    const auto it = s_.containers.find(request->container_id());
    if (it == s_.containers.end()) return NotFound(request->container_id());
    v1::ContainerStatus& container = it->second.status;
    const absl::Status logged = WriteFileAtomic(container.log_path(), s_.log);
    if (!logged.ok()) return ToGrpc(logged);
    container.set_state(v1::CONTAINER_RUNNING);
    if (s_.exit_at_start.has_value()) s_.End(container, *s_.exit_at_start);
    return grpc::Status::OK;
  }

  grpc::Status StopContainer(grpc::ServerContext*,
                             const v1::StopContainerRequest* request,
                             v1::StopContainerResponse*) override {
    FAKE_ENTER(StopContainer);
    s_.last_stop = *request;
    const auto it = s_.containers.find(request->container_id());
    if (it != s_.containers.end() &&
        it->second.status.state() == v1::CONTAINER_RUNNING) {
      s_.End(it->second.status, 143);
    }
    return grpc::Status::OK;
  }

  grpc::Status ContainerStatus(grpc::ServerContext*,
                               const v1::ContainerStatusRequest* request,
                               v1::ContainerStatusResponse* response) override {
    FAKE_ENTER(ContainerStatus);
    const auto it = s_.containers.find(request->container_id());
    if (it == s_.containers.end()) return NotFound(request->container_id());
    *response->mutable_status() = it->second.status;
    return grpc::Status::OK;
  }

  grpc::Status ListContainers(grpc::ServerContext*,
                              const v1::ListContainersRequest* request,
                              v1::ListContainersResponse* response) override {
    FAKE_ENTER(ListContainers);
    const std::string& pod = request->filter().pod_sandbox_id();
    for (const auto& [id, container] : s_.containers) {
      if (!pod.empty() && pod != container.pod) continue;
      v1::Container& item = *response->add_containers();
      item.set_id(id);
      item.set_pod_sandbox_id(container.pod);
      *item.mutable_metadata() = container.status.metadata();
      item.set_created_at(container.status.created_at());
    }
    return grpc::Status::OK;
  }

  grpc::Status ListContainerStats(
      grpc::ServerContext*, const v1::ListContainerStatsRequest*,
      v1::ListContainerStatsResponse* response) override {
    FAKE_ENTER(ListContainerStats);
    for (const auto& [id, container] : s_.containers) {
      v1::ContainerStats& stats = *response->add_stats();
      stats.mutable_attributes()->set_id(id);
      *stats.mutable_attributes()->mutable_labels() = container.status.labels();
      stats.mutable_cpu()->mutable_usage_core_nano_seconds()->set_value(
          1'500'000'000);
      stats.mutable_memory()->mutable_working_set_bytes()->set_value(3 << 20);
    }
    return grpc::Status::OK;
  }

 private:
  State& s_;
};

class FakeCri::Images final : public v1::ImageService::Service {
 public:
  explicit Images(State& state) : s_(state) {}

  grpc::Status ImageStatus(grpc::ServerContext*,
                           const v1::ImageStatusRequest* request,
                           v1::ImageStatusResponse* response) override {
    FAKE_ENTER(ImageStatus);
    const auto it = s_.images.find(request->image().image());
    if (it == s_.images.end()) return grpc::Status::OK;
    response->mutable_image()->set_id(it->second);
    response->mutable_image()->add_repo_tags(it->first);
    response->mutable_image()->set_size(2048);
    if (request->verbose())
      (*response->mutable_info())["image"] = s_.image_info;
    return grpc::Status::OK;
  }

  grpc::Status PullImage(grpc::ServerContext*,
                         const v1::PullImageRequest* request,
                         v1::PullImageResponse* response) override {
    FAKE_ENTER(PullImage);
    s_.last_pull = *request;
    std::string& id = s_.images[request->image().image()];
    if (id.empty()) id = "sha256:" + s_.NewId();
    response->set_image_ref(id);
    return grpc::Status::OK;
  }

  grpc::Status ListImages(grpc::ServerContext*, const v1::ListImagesRequest*,
                          v1::ListImagesResponse* response) override {
    FAKE_ENTER(ListImages);
    for (const auto& [name, id] : s_.images) {
      v1::Image& image = *response->add_images();
      image.set_id(id);
      image.add_repo_tags(name);
      image.set_size(3 << 20);
    }
    return grpc::Status::OK;
  }

  grpc::Status RemoveImage(grpc::ServerContext*,
                           const v1::RemoveImageRequest* request,
                           v1::RemoveImageResponse*) override {
    FAKE_ENTER(RemoveImage);
    s_.images.erase(request->image().image());
    return grpc::Status::OK;
  }

 private:
  State& s_;
};

class FakeCri::Control final : public control::v1::Control::Service {
 public:
  explicit Control(State& state) : s_(state) {}

  grpc::Status LoadImage(
      grpc::ServerContext*,
      grpc::ServerReader<control::v1::LoadImageRequest>* reader,
      control::v1::LoadImageResponse* response) override {
    FAKE_ENTER(LoadImage);
    control::v1::LoadImageRequest piece;
    while (reader->Read(&piece)) {
      if (!piece.name().empty()) s_.loaded_name = piece.name();
      s_.loaded_data += piece.data();
    }
    control::v1::LoadedImage& image = *response->add_images();
    image.set_id("sha256:" + s_.NewId());
    image.add_repo_tags("localhost/loaded:1");
    return grpc::Status::OK;
  }

  grpc::Status PullImage(
      grpc::ServerContext*, const control::v1::PullImageRequest* request,
      grpc::ServerWriter<control::v1::PullProgress>* writer) override {
    FAKE_ENTER(PullImageTold);
    if (const grpc::Status status = s_.Enter("PullImage"); !status.ok()) {
      return status;
    }
    s_.last_pull.mutable_image()->set_image(request->reference());
    s_.last_pull.mutable_auth()->set_username(request->username());
    s_.last_pull.mutable_auth()->set_password(request->password());
    control::v1::PullProgress progress;
    writer->Write(progress);
    progress.set_stage(progress.DOWNLOADING);
    control::v1::LayerProgress& layer = *progress.add_layers();
    layer.set_digest("sha256:" + std::string(64, 'a'));
    layer.set_size(10 << 20);
    layer.set_received(5 << 20);
    progress.set_bytes_per_second(1 << 20);
    writer->Write(progress);
    progress.set_stage(progress.UNPACKING);
    layer.set_received(10 << 20);
    writer->Write(progress);
    progress.set_stage(progress.DONE);
    std::string& id = s_.images[request->reference()];
    if (id.empty()) id = "sha256:" + s_.NewId();
    progress.set_image_id(id);
    writer->Write(progress);
    return grpc::Status::OK;
  }

 private:
  State& s_;
};

FakeCri::FakeCri() : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.socket = s.directory / "cri.sock";
  s.runtime_service = std::make_unique<Runtime>(s);
  s.image_service = std::make_unique<Images>(s);
  s.control_service = std::make_unique<Control>(s);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + s.socket,
                           grpc::InsecureServerCredentials());
  builder.RegisterService(s.runtime_service.get());
  builder.RegisterService(s.image_service.get());
  builder.RegisterService(s.control_service.get());
  s.server = builder.BuildAndStart();
}

FakeCri::~FakeCri() {
  state_->server->Shutdown(std::chrono::system_clock::now() +
                           std::chrono::seconds(5));
}

const std::string& FakeCri::socket() const { return state_->socket; }

void FakeCri::Fail(const std::string& method, const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->failures.erase(method);
  if (!status.ok()) state_->failures[method] = status;
}

std::string FakeCri::AddImage(const std::string& name) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->images[name] = "sha256:" + state_->NewId();
}

void FakeCri::SetImageInfo(const std::string& json) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->image_info = json;
}

void FakeCri::SetIp(const std::string& ip) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->ip = ip;
}

void FakeCri::SetLog(const std::string& lines) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->log = lines;
}

void FakeCri::ExitAtStart(int code) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->exit_at_start = code;
}

void FakeCri::ExitAll(int code) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  for (auto& [id, container] : state_->containers) {
    if (container.status.state() == v1::CONTAINER_RUNNING) {
      state_->End(container.status, code);
    }
  }
}

std::string FakeCri::AddPod(const std::string& name_space,
                            const std::string& name, bool ready) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  v1::PodSandboxStatus pod;
  pod.set_id(state_->NewId());
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_namespace_(name_space);
  pod.set_state(ready ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY);
  return (state_->pods[pod.id()] = pod).id();
}

std::vector<std::string> FakeCri::calls() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->calls;
}

size_t FakeCri::pods() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->pods.size();
}

size_t FakeCri::containers() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->containers.size();
}

v1::RunPodSandboxRequest FakeCri::last_run() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->last_run;
}

v1::CreateContainerRequest FakeCri::last_create() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->last_create;
}

v1::StopContainerRequest FakeCri::last_stop() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->last_stop;
}

v1::PullImageRequest FakeCri::last_pull() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->last_pull;
}

std::string FakeCri::loaded_name() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->loaded_name;
}

std::string FakeCri::loaded_data() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->loaded_data;
}

}  // namespace serai::testing
