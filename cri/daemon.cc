// SPDX-License-Identifier: Apache-2.0
#include "cri/daemon.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <set>
#include <utility>
#include <vector>

#include "cni/network.h"
#include "cri/bundle/options_cache.h"
#include "cri/checkpoint/checkpoint_manager.h"
#include "cri/container/container_manager.h"
#include "cri/container/exit_watcher.h"
#include "cri/containerd/images.h"
#include "cri/events/event_hub.h"
#include "cri/image/pull.h"
#include "cri/image/store.h"
#include "cri/layout.h"
#include "cri/metrics/http_endpoint.h"
#include "cri/metrics/scrape.h"
#include "cri/passthrough/owned.h"
#include "cri/passthrough/router.h"
#include "cri/pod/pod_manager.h"
#include "cri/recovery/recovery.h"
#include "cri/rpc/socket.h"
#include "cri/server/control_service.h"
#include "cri/server/convert.h"
#include "cri/server/image_service.h"
#include "cri/server/runtime_service.h"
#include "cri/server/self_check.h"
#include "cri/state/store.h"
#include "cri/streaming/node_backend.h"
#include "cri/streaming/server.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

constexpr std::chrono::seconds kShutdownGrace(5);
// How long the daemon may take to answer itself.
constexpr absl::Duration kAnswerTimeout = absl::Seconds(10);

std::string DirectoryOf(const std::string& path) {
  return path.substr(0, path.find_last_of('/'));
}

std::string OwnDirectory() {
  std::array<char, 4096> path;
  const ssize_t n = ::readlink("/proc/self/exe", path.data(), path.size());
  return n <= 0 ? "/usr/bin"
                : DirectoryOf(std::string(path.data(), static_cast<size_t>(n)));
}

std::string FindProgram(const std::string& configured,
                        const std::string& name) {
  if (!configured.empty()) return configured;
  const std::string own = OwnDirectory();
  for (const char* relative : {"/", "/../bin/", "/../libexec/serai/"}) {
    const std::string path = own + relative + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::StrCat(own, "/", name);
}

// gRPC would take a socket away from another daemon without a word.
absl::Status CheckNobodyListens(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the socket's path ", path, " is longer than ",
                     sizeof(address.sun_path) - 1, " bytes"));
  }
  path.copy(address.sun_path, path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), generic, sizeof(address)) != 0) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("another daemon serves ", path));
}

bool IsSameFile(const std::string& a, const std::string& b) {
  struct stat first = {};
  struct stat second = {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Also by way of a link, such as /var/run, and when it is not there yet.
bool IsSameSocket(const std::string& a, const std::string& b) {
  const std::string directory_a = DirectoryOf(a);
  const std::string directory_b = DirectoryOf(b);
  return a == b || IsSameFile(a, b) ||
         (a.substr(directory_a.size()) == b.substr(directory_b.size()) &&
          IsSameFile(directory_a, directory_b));
}

// seraid's directories are there.
absl::Status CheckSockets(const Config& config) {
  if (config.passthrough.socket.empty()) return absl::OkStatus();
  for (const std::string& own : {config.cri.socket, LocalSocket(config)}) {
    if (!IsSameSocket(config.passthrough.socket, own)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "[passthrough] socket is seraid's own, ", own,
        ": containerd's is wanted, such as /run/containerd/containerd.sock"));
  }
  return absl::OkStatus();
}

absl::Status MakeDirectories(const Config& config) {
  for (const std::string& directory :
       {config.root, RestoredDirectory(config), config.state,
        NetnsDirectory(config), ShimsDirectory(config),
        BundlesDirectory(config), ShimSocketDirectory(config),
        DirectoryOf(config.cri.socket)}) {
    RETURN_IF_ERROR(MakeDirs(directory));
  }
  return absl::OkStatus();
}

ShimOptions ShimOptionsOf(const Config& config) {
  return ShimOptions{config.programs.shim, config.programs.tender,
                     ShimSocketDirectory(config)};
}

ImageStoreOptions ImageStoreOptionsOf(const Config& config) {
  ImageStoreOptions options;
  options.unpacker.program = config.programs.unpacker;
  options.pinned = config.image.pinned;
  return options;
}

cni::Options CniOptionsOf(const Config& config) {
  cni::Options options;
  options.conf_dir = config.cni.conf_dir;
  options.bin_dirs = config.cni.bin_dirs;
  options.cache_dir = JoinPath(config.root, "cni");
  options.timeout = config.cni.timeout;
  return options;
}

}  // namespace

// In the order of their making; the server goes first when they are unmade.
struct Daemon::Parts {
  Parts(Config c, host::CgroupHierarchy hierarchy,
        std::unique_ptr<ImageStore> image_store)
      : config(std::move(c)),
        cgroups(std::move(hierarchy)),
        images(std::move(image_store)),
        puller(images.get(), PullOptionsOf(config)) {}

  static PullOptions PullOptionsOf(const Config& config) {
    PullOptions options;
    options.registry.config_path = config.registry.config_path;
    options.signatures = {config.image.signed_images,
                          config.image.signature_keys};
    return options;
  }

  static std::unique_ptr<ContainerdImages> ContainerdImagesOf(
      const Config& config) {
    if (config.passthrough.socket.empty()) return nullptr;
    return std::make_unique<ContainerdImages>(
        NewContainerdClient(config.passthrough.socket),
        config.passthrough.snapshotter, JoinPath(config.root, "views"));
  }

  const Config config;
  const ShimOptions shim_options = ShimOptionsOf(config);
  const host::CgroupHierarchy cgroups;
  const std::unique_ptr<ImageStore> images;
  // Null on a node of unikernels alone.
  const std::unique_ptr<ContainerdImages> containerd_images =
      ContainerdImagesOf(config);
  // Where containers get their images from: one of the two.
  ImageSource& image_source =
      containerd_images != nullptr
          ? static_cast<ImageSource&>(*containerd_images)
          : *images;
  Puller puller;
  cni::Client network{CniOptionsOf(config)};
  Store store{config.root};
  EventHub events{[this](const Event& event) { return ToEvent(store, event); }};
  ExitWatcher watcher{cgroups, events};
  OptionsCache guest_options{OptionsDirectory(config), config.programs.tender};
  ContainerManager containers{config,       shim_options,  cgroups,
                              image_source, guest_options, store,
                              watcher,      events};
  PodManager pods{config, shim_options, cgroups, network,
                  store,  containers,   events};
  CheckpointManager checkpoints{config, store, pods, containers};
  streaming::NodeBackend streaming_backend{store};
  std::unique_ptr<streaming::Server> streams;
  std::unique_ptr<RuntimeService> runtime_service;
  ImageService image_service{*images, puller};
  ControlService control_service{
      *images, config.passthrough.socket.empty() ? &puller : nullptr};
  const Owned owned{config, store};
  std::unique_ptr<Router> router;  // with containerd only
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<HttpEndpoint> metrics;  // null: not wanted

  // The parent of pods that come without one is the daemon's, not a pod's.
  // Slices are systemd's to make.
  absl::Status MakeCgroupParent() {
    if (config.cgroup.by_systemd()) return absl::OkStatus();
    return host::Cgroup::Create(cgroups, config.cgroup.parent).status();
  }

  // Stays where pods are still in it. It may have been made by a daemon before
  // this one.
  absl::Status RemoveCgroupParent() {
    if (config.cgroup.by_systemd()) return absl::OkStatus();
    std::vector<std::string> directories;
    for (const std::string& root : cgroups.Roots()) {
      directories.push_back(JoinPath(root, config.cgroup.parent));
    }
    return host::RemoveMade(directories);
  }

  // Of images that are gone. containerd's are not listed here.
  void ForgetOptions() {
    if (containerd_images != nullptr) return;
    std::set<std::string> ids;
    for (const Image& image : images->List()) ids.insert(image.id);
    guest_options.Forget(
        [&](const std::string& id) { return ids.count(id) > 0; });
  }

  absl::Status ServeMetrics() {
    if (config.metrics.address.empty()) return absl::OkStatus();
    const auto scrape = [this](Exposition exposition) {
      return ScrapeMetrics(store, *images, exposition);
    };
    ASSIGN_OR_RETURN(metrics,
                     HttpEndpoint::Listen(config.metrics.address, scrape),
                     "[metrics] address");
    spdlog::info("metrics are at http://{}/metrics", metrics->address());
    return absl::OkStatus();
  }

  // With containerd every call comes to the router, and images are containerd's
  // alone.
  absl::Status RegisterServices(grpc::ServerBuilder& builder) {
    if (config.passthrough.socket.empty()) {
      builder.RegisterService(runtime_service.get());
      builder.RegisterService(&image_service);
      builder.RegisterService(&control_service);
      return absl::OkStatus();
    }
    Router::Options options;
    options.containerd_socket = config.passthrough.socket;
    options.local_socket = LocalSocket(config);
    options.services = {runtime_service.get(), &control_service};
    ASSIGN_OR_RETURN(router, Router::Start(options, owned));
    builder.RegisterCallbackGenericService(router.get());
    return absl::OkStatus();
  }

  absl::Status StartStreaming() {
    const Config::Streaming& wanted = config.streaming;
    ASSIGN_OR_RETURN(
        streams,
        streaming::Server::Start({wanted.address, wanted.tls_certificate,
                                  wanted.tls_key, wanted.tls_client_ca},
                                 streaming_backend),
        "[streaming]");
    return absl::OkStatus();
  }

  absl::Status Serve() {
    RETURN_IF_ERROR(StartStreaming());
    runtime_service = std::make_unique<RuntimeService>(
        RuntimeService::Parts{config, shim_options, cgroups, network, store,
                              pods, containers, events, *streams, checkpoints});
    const std::string& path = config.cri.socket;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(absl::StrCat("unix:", path),
                             grpc::InsecureServerCredentials(), &port);
    SetLimits(builder);
    RETURN_IF_ERROR(RegisterServices(builder));
    server = builder.BuildAndStart();
    if (server == nullptr || port == 0) {
      return absl::UnavailableError(absl::StrCat("can't listen on ", path));
    }
    // Whoever may call us owns the node.
    if (::chmod(path.c_str(), 0600) != 0) {
      return ErrnoStatus(errno, absl::StrCat("chmod ", path));
    }
    return absl::OkStatus();
  }
};

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() {
  parts_->metrics = nullptr;
  parts_->events.Close();
  if (parts_->server != nullptr) {
    parts_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    parts_->server->Wait();
  }
  const absl::Status removed = parts_->RemoveCgroupParent();
  if (!removed.ok()) {
    spdlog::warn("removing the cgroup parent: {}",
                 std::string(removed.message()));
  }
}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(Config config) {
  ResolvePrograms(config);
  RETURN_IF_ERROR(MakeDirectories(config));
  RETURN_IF_ERROR(CheckSockets(config));
  RETURN_IF_ERROR(CheckNobodyListens(config.cri.socket));
  RETURN_IF_ERROR(CheckNobodyListens(LocalSocket(config)));
  ASSIGN_OR_RETURN(host::CgroupHierarchy cgroups,
                   host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(std::unique_ptr<ImageStore> images,
                   ImageStore::Open(config.root, ImageStoreOptionsOf(config)),
                   "opening the image store");
  std::unique_ptr<Daemon> daemon(new Daemon(std::make_unique<Parts>(
      std::move(config), std::move(cgroups), std::move(images))));
  Parts& parts = *daemon->parts_;
  RETURN_IF_ERROR(parts.MakeCgroupParent(), "making the cgroup parent");
  parts.ForgetOptions();
  RETURN_IF_ERROR(
      Recovery(parts.config, parts.cgroups, parts.image_source, parts.store,
               parts.pods, parts.watcher, parts.network)
          .Run(),
      "recovering");
  RETURN_IF_ERROR(parts.ServeMetrics());
  parts.events.Open();
  RETURN_IF_ERROR(parts.Serve());
  return daemon;
}

absl::Status Daemon::CheckAlive() const {
  (void)parts_->store.Pods();
  return AskVersion(parts_->config.cri.socket, kAnswerTimeout);
}

void ResolvePrograms(Config& config) {
  Config::Programs& programs = config.programs;
  programs.shim = FindProgram(programs.shim, "containerd-shim-serai-v2");
  programs.tender = FindProgram(programs.tender, "serai-tender");
  programs.unpacker = FindProgram(programs.unpacker, "serai-unpack");
}

}  // namespace serai::cri
