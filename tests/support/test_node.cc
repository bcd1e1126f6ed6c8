// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_node.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/oci/archive.h"
#include "lib/oci/layout.h"
#include "lib/oci/pack.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
constexpr char kDebianPlugins[] = "/usr/lib/cni";

// Several nodes of one process, and of several processes, don't meet.
std::string Unique(absl::string_view prefix) {
  static std::atomic<int> counter{0};
  return absl::StrCat(prefix, ::getpid() % 100000, "n", ++counter);
}

std::string UniqueSubnet() {
  static std::atomic<int> counter{0};
  const int number = (::getpid() * 7 + ++counter) % 60000;
  return absl::StrCat("10.", 16 + number / 250 % 200, ".", number % 250);
}

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

class Call {
 public:
  Call() {
    context_.set_deadline(std::chrono::system_clock::now() +
                          absl::ToChronoSeconds(kCallTimeout));
  }
  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
};

// The bridge plugin turns it on.
constexpr char kForwarding[] = "/proc/sys/net/ipv4/ip_forward";

void RunQuietly(const std::string& program,
                const std::vector<std::string>& args) {
  SubprocessSpec spec;
  spec.program = program;
  spec.args = args;
  (void)RunSubprocess(spec).status();
}

}  // namespace

TestNode::TestNode(NodeOptions options)
    : options_(std::move(options)),
      bridge_(Unique("srt")),
      subnet_(UniqueSubnet()),
      cgroup_parent_(Unique("/serai-test-")),
      forwarding_(ReadFile(kForwarding, 16).value_or("0")) {
  WriteConfig();
}

TestNode::~TestNode() {
  if (pid_ < 0) Start();
  RemoveAllPods();
  if (::testing::Test::HasFailure()) {
    ADD_FAILURE() << "seraid said:\n" << DaemonLog();
  }
  Stop(SIGTERM);
  RunQuietly("/sbin/ip", {"link", "del", bridge_});
  EXPECT_TRUE(WriteControlFile(kForwarding, forwarding_).ok());
}

void TestNode::WriteConfig() {
  const std::string conf_dir = directory_ / "net.d";
  EXPECT_TRUE(MakeDirs(conf_dir).ok());
  std::string conflist = options_.conflist;
  if (conflist.empty()) {
    conflist = absl::StrCat(
        R"({"cniVersion":"1.0.0","name":")", bridge_,
        R"(","plugins":[{"type":"bridge","bridge":")", bridge_,
        R"(","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local",)",
        R"("dataDir":")", ipam_dir(), R"(","ranges":[[{"subnet":")", subnet_,
        R"(.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}})");
    for (const std::string& plugin : options_.chained) {
      absl::StrAppend(&conflist, R"(,{"type":")", plugin,
                      R"(","capabilities":{"portMappings":true}})");
    }
    conflist += "]}";
  }
  if (conflist != "none") {
    EXPECT_TRUE(
        WriteFileAtomic(JoinPath(conf_dir, "10-test.conflist"), conflist).ok());
  }
  std::string bin_dirs = absl::StrCat("\"", kDebianPlugins, "\"");
  if (!options_.plugin_dir.empty()) {
    bin_dirs = absl::StrCat("\"", options_.plugin_dir, "\", ", bin_dirs);
  }
  const std::string bin = JoinPath(BuildDir(), "bin");
  EXPECT_TRUE(
      WriteFileAtomic(
          directory_ / "config.toml",
          absl::StrCat(
              "version = 1\nroot = \"", root(), "\"\nstate = \"", state(),
              "\"\n[cri]\nsocket = \"", socket(), "\"\n[programs]\nshim = \"",
              bin, "/containerd-shim-serai-v2\"\ntender = \"", bin,
              "/serai-tender\"\n[cgroup]\nparent = \"", cgroup_parent_,
              "\"\n[registry]\nconfig_path = \"\"\n[cni]\nconf_dir = \"",
              conf_dir, "\"\nbin_dirs = [", bin_dirs, "]\n",
              options_.more_config))
          .ok());
}

void TestNode::Start() {
  const std::string program = JoinPath(BuildDir(), "bin/seraid");
  std::vector<std::string> args = options_.wrapper;
  for (const std::string& arg :
       {program, std::string("--config"), directory_ / "config.toml",
        std::string("--log-level"), std::string("debug")}) {
    args.push_back(arg);
  }
  std::vector<std::string> env = options_.env;
  env.push_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  env.push_back(absl::StrCat("SERAI_FAULT_FILE=", fault_file()));
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (std::string& s : strings) result.push_back(s.data());
    result.push_back(nullptr);
    return result;
  };
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO,
                                     (directory_ / "seraid.log").c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int error =
      ::posix_spawn(&pid_, args.front().c_str(), &actions, nullptr,
                    pointers(args).data(), pointers(env).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ASSERT_EQ(error, 0) << args.front();

  grpc::ChannelArguments channel_args;
  channel_args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  channel_args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  channel_args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  channel_args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel = grpc::CreateCustomChannel(
      absl::StrCat("unix:", socket()), grpc::InsecureChannelCredentials(),
      channel_args);
  ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() +
                                        absl::ToChronoSeconds(kStartTimeout)))
      << DaemonLog();
  runtime_ = cri::RuntimeService::NewStub(channel);
  images_ = cri::ImageService::NewStub(channel);
  control_ = control::v1::Control::NewStub(channel);
}

void TestNode::Stop(int signal_number) {
  if (pid_ < 0) return;
  // An open connection that nobody reads from would hold up the server's end.
  runtime_.reset();
  images_.reset();
  control_.reset();
  ::kill(pid_, signal_number);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void TestNode::InjectFault(const std::string& step) {
  EXPECT_TRUE(WriteFileAtomic(fault_file(), step).ok());
}

std::string TestNode::DaemonLog() const {
  return ReadFile(directory_ / "seraid.log", 64 << 20).value_or("(no log)");
}

absl::StatusOr<std::string> TestNode::LoadGuests(
    const std::string& name, const std::vector<std::string>& guests) {
  std::vector<std::string> paths;
  for (const std::string& guest : guests) {
    paths.push_back(JoinPath(JoinPath(BuildDir(), "guests"), guest));
  }
  return LoadFiles(name, paths);
}

absl::StatusOr<std::string> TestNode::LoadFiles(
    const std::string& name, const std::vector<std::string>& paths) {
  const TempDir scratch;
  ASSIGN_OR_RETURN(const oci::Layout layout,
                   oci::Layout::Create(scratch / "layout"));
  ASSIGN_OR_RETURN(const oci::Descriptor manifest,
                   oci::Pack(paths, oci::PackOptions(), layout));
  const std::string tag = absl::StrCat("localhost/", name, ":latest");
  RETURN_IF_ERROR(layout.AddManifest(manifest, tag));
  return LoadLayout(layout);
}

absl::StatusOr<std::string> TestNode::LoadLayout(const oci::Layout& layout) {
  const TempDir scratch;
  ASSIGN_OR_RETURN(const oci::Index index, layout.ReadIndex());
  ASSIGN_OR_RETURN(const UniqueFd archive,
                   OpenFile(scratch / "image.tar", O_RDWR | O_CREAT));
  RETURN_IF_ERROR(oci::WriteArchive(layout, index, archive.get()));
  ASSIGN_OR_RETURN(const std::string bytes,
                   ReadFile(scratch / "image.tar", 64 << 20));
  Call call;
  control::v1::LoadImageResponse response;
  const auto writer = control_->LoadImage(call.get(), &response);
  constexpr size_t kPiece = 1 << 20;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    control::v1::LoadImageRequest piece;
    piece.set_data(bytes.substr(at, kPiece));
    if (!writer->Write(piece)) break;
  }
  writer->WritesDone();
  RETURN_IF_ERROR(FromGrpc(writer->Finish()));
  return response.images(0).id();
}

cri::PodSandboxConfig TestNode::PodConfig(const std::string& name) const {
  cri::PodSandboxConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid(absl::StrCat("uid-", name));
  config.set_hostname(name);
  config.set_log_directory(directory_ / absl::StrCat("logs/", name));
  return config;
}

cri::ContainerConfig TestNode::ContainerConfig(
    const std::string& image, const std::vector<std::string>& args) const {
  cri::ContainerConfig config;
  config.mutable_metadata()->set_name("c");
  config.mutable_image()->set_image(image);
  for (const std::string& arg : args) config.add_args(arg);
  config.set_log_path("c/0.log");
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(32
                                                                         << 20);
  return config;
}

absl::StatusOr<std::string> TestNode::RunPod(const std::string& name,
                                             const std::string& handler) {
  return RunPod(PodConfig(name), handler);
}

absl::StatusOr<std::string> TestNode::RunPod(
    const cri::PodSandboxConfig& config, const std::string& handler) {
  Call call;
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(handler);
  cri::RunPodSandboxResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->RunPodSandbox(call.get(), request, &response)));
  return response.pod_sandbox_id();
}

absl::StatusOr<std::string> TestNode::Create(
    const std::string& pod, const cri::ContainerConfig& config) {
  // kubelet makes the log's directory.
  ASSIGN_OR_RETURN(const auto status, PodStatusOf(pod));
  RETURN_IF_ERROR(MakeDirs(
      directory_ / absl::StrCat("logs/", status.metadata().name(), "/c")));
  Call call;
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_config() = config;
  cri::CreateContainerResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->CreateContainer(call.get(), request, &response)));
  return response.container_id();
}

absl::Status TestNode::StartContainer(const std::string& container) {
  Call call;
  cri::StartContainerRequest request;
  request.set_container_id(container);
  cri::StartContainerResponse response;
  return FromGrpc(runtime_->StartContainer(call.get(), request, &response));
}

absl::Status TestNode::StopContainer(const std::string& container,
                                     int64_t seconds) {
  Call call;
  cri::StopContainerRequest request;
  request.set_container_id(container);
  request.set_timeout(seconds);
  cri::StopContainerResponse response;
  return FromGrpc(runtime_->StopContainer(call.get(), request, &response));
}

absl::Status TestNode::RemoveContainer(const std::string& container) {
  Call call;
  cri::RemoveContainerRequest request;
  request.set_container_id(container);
  cri::RemoveContainerResponse response;
  return FromGrpc(runtime_->RemoveContainer(call.get(), request, &response));
}

absl::Status TestNode::StopPod(const std::string& pod) {
  Call call;
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  cri::StopPodSandboxResponse response;
  return FromGrpc(runtime_->StopPodSandbox(call.get(), request, &response));
}

absl::Status TestNode::RemovePod(const std::string& pod) {
  Call call;
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  cri::RemovePodSandboxResponse response;
  return FromGrpc(runtime_->RemovePodSandbox(call.get(), request, &response));
}

absl::StatusOr<cri::ContainerStatus> TestNode::StatusOf(
    const std::string& container) {
  Call call;
  cri::ContainerStatusRequest request;
  request.set_container_id(container);
  cri::ContainerStatusResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->ContainerStatus(call.get(), request, &response)));
  return response.status();
}

absl::StatusOr<cri::PodSandboxStatus> TestNode::PodStatusOf(
    const std::string& pod) {
  Call call;
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  cri::PodSandboxStatusResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->PodSandboxStatus(call.get(), request, &response)));
  return response.status();
}

std::vector<cri::PodSandbox> TestNode::Pods() {
  Call call;
  cri::ListPodSandboxResponse response;
  EXPECT_TRUE(runtime_->ListPodSandbox(call.get(), {}, &response).ok());
  return {response.items().begin(), response.items().end()};
}

std::vector<cri::Container> TestNode::Containers() {
  Call call;
  cri::ListContainersResponse response;
  EXPECT_TRUE(runtime_->ListContainers(call.get(), {}, &response).ok());
  return {response.containers().begin(), response.containers().end()};
}

void TestNode::RemoveAllPods() {
  if (runtime_ == nullptr) return;
  for (const cri::PodSandbox& pod : Pods()) {
    const absl::Status removed = RemovePod(pod.id());
    EXPECT_TRUE(removed.ok()) << removed;
  }
}

absl::StatusOr<TestNode::Running> TestNode::Run(
    const std::string& name, const std::string& image,
    const std::vector<std::string>& args) {
  Running running;
  ASSIGN_OR_RETURN(running.pod, RunPod(name));
  ASSIGN_OR_RETURN(running.container,
                   Create(running.pod, ContainerConfig(image, args)));
  RETURN_IF_ERROR(StartContainer(running.container));
  ASSIGN_OR_RETURN(const cri::PodSandboxStatus status,
                   PodStatusOf(running.pod));
  running.ip = status.network().ip();
  return running;
}

absl::StatusOr<cri::ContainerStatus> TestNode::WaitExited(
    const std::string& container, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    ASSIGN_OR_RETURN(const cri::ContainerStatus status, StatusOf(container));
    if (status.state() == cri::CONTAINER_EXITED) return status;
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError("the container has not ended");
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::StatusOr<std::string> HttpGet(const std::string& ip, int port,
                                    const std::string& path,
                                    absl::Duration timeout) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const timeval limit = absl::ToTimeval(timeout);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(ip, " is no address"));
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat("connect ", ip, ": ", errno));
  }
  RETURN_IF_ERROR(
      WriteAll(fd.get(), absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", ip,
                                      "\r\nConnection: close\r\n\r\n")));
  auto answer = ReadAll(fd.get(), 1 << 20);
  if (!answer.ok() || answer->empty()) {
    return absl::UnavailableError(absl::StrCat("no answer from ", ip));
  }
  return answer;
}

absl::StatusOr<std::string> HttpGetRetried(const std::string& ip, int port,
                                           const std::string& path,
                                           absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    auto answer = HttpGet(ip, port, path);
    if (answer.ok() || absl::Now() > deadline) return answer;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

}  // namespace serai::testing
