// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_containerd.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "lib/oci/archive.h"
#include "lib/oci/layout.h"
#include "lib/ttrpc/typed_call.h"
#include "proto/task/task.pb.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

constexpr char kContainerd[] = "/usr/bin/containerd";
constexpr char kSetpriv[] = "/usr/bin/setpriv";
constexpr char kCtr[] = "/usr/bin/ctr";
constexpr char kCriNamespace[] = "k8s.io";
constexpr char kSystemPath[] = "/usr/sbin:/usr/bin:/sbin:/bin";
constexpr absl::Duration kPatience = absl::Seconds(10);

// Where containerd, runc's shim and the CNI keep what no configuration moves.
constexpr const char* kFixedDirectories[] = {"/run/containerd", "/var/lib/cni"};

// Of containerd 1.6, 1.7 and 2: what may miss its kernel module, and what
// would talk to the machine's or the network's others.
constexpr char kDisabledPlugins[] =
    R"(["io.containerd.snapshotter.v1.aufs",)"
    R"("io.containerd.snapshotter.v1.blockfile",)"
    R"("io.containerd.snapshotter.v1.btrfs",)"
    R"("io.containerd.snapshotter.v1.devmapper",)"
    R"("io.containerd.snapshotter.v1.zfs",)"
    R"("io.containerd.internal.v1.opt",)"
    R"("io.containerd.internal.v1.tracing",)"
    R"("io.containerd.tracing.processor.v1.otlp",)"
    R"("io.containerd.nri.v1.nri"])";

std::string Unique() {
  static std::atomic<int> counter{0};
  return absl::StrCat("src", ::getpid() % 100000, "n", ++counter);
}

std::string Bin(absl::string_view program) {
  return JoinPath(JoinPath(BuildDir(), "bin"), program);
}

// They are the machine's: the test's own, from now on.
absl::Status CoverFixedDirectories() {
  static bool covered = false;
  if (covered) return absl::OkStatus();
  for (const char* directory : kFixedDirectories) {
    RETURN_IF_ERROR(MakeDirs(directory, 0755));
    if (::mount("serai-test", directory, "tmpfs", 0, "mode=755") != 0) {
      return ErrnoStatus(errno, absl::StrCat("mounting ", directory));
    }
  }
  covered = true;
  return absl::OkStatus();
}

// Whether the kernel has overlayfs, and has it on this file system.
bool OverlayWorks(const std::string& directory) {
  for (const char* name : {"lower", "upper", "work", "all"}) {
    if (!MakeDirs(JoinPath(directory, name)).ok()) return false;
  }
  const std::string all = JoinPath(directory, "all");
  const std::string options =
      absl::StrCat("lowerdir=", directory, "/lower,upperdir=", directory,
                   "/upper,workdir=", directory, "/work");
  if (::mount("overlay", all.c_str(), "overlay", 0, options.c_str()) != 0) {
    return false;
  }
  return ::umount2(all.c_str(), MNT_DETACH) == 0;
}

absl::StatusOr<std::string> RunProgram(const std::string& program,
                                       const std::vector<std::string>& args) {
  SubprocessSpec spec;
  spec.program = program;
  spec.args = args;
  spec.env = {absl::StrCat("PATH=", kSystemPath)};
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
  if (result.exit_code == 0) return result.output;
  return absl::InternalError(absl::StrCat(program, " ended with status ",
                                          result.exit_code, ": ",
                                          result.error_output, result.output));
}

ino_t MountNamespaceOf(absl::string_view process) {
  struct stat st = {};
  const std::string path = absl::StrCat("/proc/", process, "/ns/mnt");
  return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

void ReapOrphans(pid_t but) {
  for (;;) {
    siginfo_t ended = {};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        ended.si_pid == 0 || ended.si_pid == but) {
      return;
    }
    ::waitpid(ended.si_pid, nullptr, 0);
  }
}

// Whoever is in this test's mount namespace and is not this test: what it
// started. The machine's own processes are elsewhere.
void KillOwnProcesses() {
  if (MountNamespaceOf("self") == MountNamespaceOf("1")) return;
  const auto entries = ListDir("/proc");
  if (!entries.ok()) return;
  for (const std::string& entry : *entries) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry, &pid) || pid == ::getpid()) continue;
    if (MountNamespaceOf(entry) == MountNamespaceOf("self")) {
      ::kill(pid, SIGKILL);
    }
  }
}

// In every hierarchy: runc uses some that we do not.
absl::Status DestroyCgroup(const std::string& path) {
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(const auto cgroup, host::Cgroup::Open(hierarchy, path));
  RETURN_IF_ERROR(cgroup.Destroy());
  std::error_code error;
  for (const auto& root :
       std::filesystem::directory_iterator("/sys/fs/cgroup", error)) {
    // Its files are the kernel's; only directories can be removed, and only
    // those without others in them.
    std::vector<std::string> groups = {root.path().string() + path};
    for (auto at =
             std::filesystem::recursive_directory_iterator(groups[0], error);
         !error && at != std::filesystem::recursive_directory_iterator();
         at.increment(error)) {
      if (at->is_directory(error)) groups.push_back(at->path().string());
    }
    for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
      RETURN_IF_ERROR(RemovePath(*group));
    }
  }
  return absl::OkStatus();
}

// Mount points below `directory`, the last made first.
std::vector<std::string> MountsBelow(const std::string& directory) {
  std::vector<std::string> mounts;
  const auto table = ReadFile("/proc/self/mountinfo", 16 << 20);
  if (!table.ok()) return mounts;
  for (const absl::string_view line : absl::StrSplit(*table, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    if (fields.size() > 4 && absl::StartsWith(fields[4], directory + "/")) {
      mounts.emplace_back(fields[4]);
    }
  }
  std::reverse(mounts.begin(), mounts.end());
  return mounts;
}

}  // namespace

TestContainerd::TestContainerd(ContainerdOptions options)
    : options_(std::move(options)),
      unique_(Unique()),
      namespace_(absl::StrCat("ns-", unique_)) {
  SetLogDirectory(directory_ / "logs");
  SetCgroupParent(absl::StrCat("/", unique_));
  EXPECT_OK(Prepare());
}

TestContainerd::~TestContainerd() {
  if (pid_ < 0) Start();
  if (::testing::Test::HasFailure()) {
    ADD_FAILURE() << "containerd said:\n" << Log();
  }
  if (connected()) RemoveEverything();
  Stop(SIGTERM);
  KillOwnProcesses();
  EXPECT_OK(DestroyCgroup("/" + unique_));
  EXPECT_OK(DestroyCgroup("/" + namespace_));
  ReapOrphans(-1);
  for (const std::string& mount : MountsBelow(directory_.path())) {
    ::umount2(mount.c_str(), MNT_DETACH);
  }
  (void)RunProgram("/sbin/ip", {"link", "del", unique_}).status();
}

absl::Status TestContainerd::Prepare() {
  RETURN_IF_ERROR(CoverFixedDirectories());
  snapshotter_ = OverlayWorks(directory_ / "overlay") ? "overlayfs" : "native";
  RETURN_IF_ERROR(MakeDirs(directory_ / "tmp"));
  RETURN_IF_ERROR(WriteNetwork());
  return WriteConfig();
}

absl::Status TestContainerd::WriteNetwork() {
  RETURN_IF_ERROR(MakeDirs(directory_ / "net.d"));
  return WriteFileAtomic(
      directory_ / "net.d/10-test.conflist",
      absl::StrCat(
          R"({"cniVersion":"1.0.0","name":")", unique_,
          R"(","plugins":[{"type":"bridge","bridge":")", unique_,
          R"(","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local",)",
          R"("dataDir":")", directory_ / "ipam",
          R"(","ranges":[[{"subnet":"10.99.0.0/16"}]],)",
          R"("routes":[{"dst":"0.0.0.0/0"}]}}]})"));
}

absl::Status TestContainerd::WriteConfig() {
  ASSIGN_OR_RETURN(
      const std::string handler,
      ReadFile(SERAI_SOURCE_DIR "/deploy/containerd/config-v2.toml", 1 << 16));
  const std::string cri = R"([plugins."io.containerd.grpc.v1.cri")";
  return WriteFileAtomic(
      directory_ / "config.toml",
      absl::StrCat(
          "version = 2\nroot = \"", directory_ / "root", "\"\nstate = \"",
          directory_ / "state", "\"\ndisabled_plugins = ", kDisabledPlugins,
          "\n[grpc]\n  address = \"", socket(),
          "\"\n[debug]\n  level = \"debug\"\n", cri,
          "]\n  disable_apparmor = true\n  restrict_oom_score_adj = true\n"
          "  netns_mounts_under_state_dir = true\n  sandbox_image = \"",
          kPlainImage, "\"\n", cri,
          ".cni]\n  bin_dir = \"/usr/lib/cni\"\n  conf_dir = \"",
          directory_ / "net.d", "\"\n", cri,
          ".containerd]\n  default_runtime_name = \"runc\"\n  snapshotter = \"",
          snapshotter_, "\"\n", cri,
          ".containerd.runtimes.runc]\n"
          "  runtime_type = \"io.containerd.runc.v2\"\n\n",
          handler));
}

void TestContainerd::Start() {
  // It does not outlive a test that is killed.
  std::vector<std::string> args = {kSetpriv,   "--pdeathsig",
                                   "KILL",     kContainerd,
                                   "--config", directory_ / "config.toml"};
  std::vector<std::string> env = options_.env;
  env.push_back(absl::StrCat("PATH=", BuildDir(), "/bin:", kSystemPath));
  env.push_back(absl::StrCat("SERAI_TENDER=", Bin("serai-tender")));
  env.push_back(absl::StrCat("SERAI_SHIM_SOCKET_DIR=", directory_ / "sockets"));
  // It forgets there what it has unpacked of checkpoints.
  env.push_back(absl::StrCat("XDG_RUNTIME_DIR=", directory_ / "tmp"));
  env.push_back(absl::StrCat("TMPDIR=", directory_ / "tmp"));
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (std::string& s : strings) result.push_back(s.data());
    result.push_back(nullptr);
    return result;
  };
  const std::string log = directory_ / "containerd.log";
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int error =
      ::posix_spawn(&pid_, args.front().c_str(), &actions, nullptr,
                    pointers(args).data(), pointers(env).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ASSERT_EQ(error, 0) << args.front();
  ASSERT_OK(Connect(socket()));
  // The CRI of containerd answers only when it has found again what there was.
  const absl::Time deadline = absl::Now() + kPatience;
  cri::StatusResponse status;
  for (;;) {
    Call call;
    const absl::Status ready =
        FromGrpc(runtime().Status(call.get(), {}, &status));
    if (ready.ok()) break;
    ASSERT_LT(absl::Now(), deadline) << ready << "\n" << Log();
    absl::SleepFor(absl::Milliseconds(20));
  }
  if (!PathExists(directory_ / "plain.tar")) ASSERT_OK(ImportPlain());
}

void TestContainerd::Stop(int signal_number) {
  if (pid_ < 0) return;
  Disconnect();
  ::kill(pid_, signal_number);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void TestContainerd::KillNow() const { ::kill(pid_, SIGKILL); }

absl::StatusOr<SubprocessResult> TestContainerd::RunCtr(
    const std::vector<std::string>& args) {
  SubprocessSpec spec;
  spec.program = kCtr;
  spec.args = {"--address", socket(), "--namespace", namespace_};
  spec.args.insert(spec.args.end(), args.begin(), args.end());
  spec.env = {absl::StrCat("PATH=", kSystemPath),
              absl::StrCat("CONTAINERD_SNAPSHOTTER=", snapshotter_)};
  return RunSubprocess(spec);
}

absl::StatusOr<std::string> TestContainerd::Ctr(
    const std::vector<std::string>& args) {
  ASSIGN_OR_RETURN(const SubprocessResult result, RunCtr(args));
  if (result.exit_code == 0) return result.output;
  return absl::InternalError(absl::StrCat(
      "ctr ended with status ", result.exit_code, ": ", result.error_output));
}

absl::Status TestContainerd::Import(const std::string& archive) {
  for (const std::string& name : {namespace_, std::string(kCriNamespace)}) {
    RETURN_IF_ERROR(
        RunProgram(kCtr, {"--address", socket(), "--namespace", name, "image",
                          "import", "--snapshotter", snapshotter_, archive})
            .status(),
        "importing into ", name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TestContainerd::ImportGuests(
    const std::string& name, const std::vector<std::string>& guests) {
  const std::string tag = absl::StrCat("localhost/", name, ":latest");
  const std::string archive = directory_ / absl::StrCat(name, ".tar");
  std::vector<std::string> args = {"pack", "-t", tag, "--archive", archive};
  for (const std::string& guest : guests) {
    args.push_back(JoinPath(JoinPath(BuildDir(), "guests"), guest));
  }
  RETURN_IF_ERROR(RunProgram(Bin("serai"), args).status());
  RETURN_IF_ERROR(Import(archive));
  return tag;
}

absl::StatusOr<std::string> TestContainerd::ImportImage(
    const std::string& name, const ImageBuilder& image) {
  const std::string tag = absl::StrCat("localhost/", name, ":latest");
  const std::string path = directory_ / absl::StrCat(name, ".tar");
  ASSIGN_OR_RETURN(const oci::Layout layout,
                   oci::Layout::Create(directory_ / name));
  RETURN_IF_ERROR(layout.AddManifest(image.Build(layout).descriptor, tag));
  ASSIGN_OR_RETURN(const oci::Index index, layout.ReadIndex());
  ASSIGN_OR_RETURN(const UniqueFd archive, OpenFile(path, O_WRONLY | O_CREAT));
  RETURN_IF_ERROR(oci::WriteArchive(layout, index, archive.get()));
  RETURN_IF_ERROR(Import(path));
  return tag;
}

absl::Status TestContainerd::ImportPlain() {
  TarItem item;
  item.path = "plain";
  ASSIGN_OR_RETURN(item.content,
                   ReadFile(JoinPath(BuildDir(), "tests/plain"), 64 << 20));
  item.mode = 0755;
  ImageBuilder builder;
  builder.AddLayer({item});
  builder.config().entrypoint = {"/plain"};
  return ImportImage("plain", builder).status();
}

absl::StatusOr<pid_t> TestContainerd::ShimOf(const std::string& id,
                                             bool of_cri) {
  const std::string bundle =
      directory_ / absl::StrCat("state/io.containerd.runtime.v2.task/",
                                of_cri ? kCriNamespace : namespace_, "/", id);
  ASSIGN_OR_RETURN(const std::string address,
                   ReadFile(JoinPath(bundle, "address"), 4096));
  ASSIGN_OR_RETURN(const auto client, ttrpc::Client::Connect(address));
  task::ConnectRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const auto response,
                   ttrpc::TypedCall<task::ConnectResponse>(
                       *client, ttrpc::kTaskService, "Connect", request,
                       absl::Now() + kPatience));
  return static_cast<pid_t>(response.shim_pid());
}

absl::StatusOr<pid_t> TestContainerd::TaskPid(const std::string& id,
                                              bool of_cri) {
  ASSIGN_OR_RETURN(
      const std::string table,
      RunProgram(kCtr, {"--address", socket(), "--namespace",
                        of_cri ? kCriNamespace : namespace_, "task", "ls"}));
  for (const absl::string_view line : absl::StrSplit(table, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    pid_t pid = 0;
    if (words.size() > 1 && words[0] == id &&
        absl::SimpleAtoi(words[1], &pid)) {
      return pid;
    }
  }
  return absl::NotFoundError(absl::StrCat("no task ", id, " in ", table));
}

void TestContainerd::RemoveEverything() {
  RemoveAllPods();
  const auto ids = Ctr({"container", "ls", "-q"});
  EXPECT_OK(ids);
  if (!ids.ok()) return;
  for (const absl::string_view id :
       absl::StrSplit(*ids, '\n', absl::SkipEmpty())) {
    (void)RunCtr({"task", "rm", "--force", std::string(id)}).status();
    EXPECT_OK(Ctr({"container", "rm", std::string(id)}));
  }
}

Snapshot TestContainerd::TakeSnapshot() const {
  return Take({directory_ / "ipam", directory_ / "sockets",
               directory_ / "state/io.containerd.runtime.v2.task",
               directory_ / "state/io.containerd.grpc.v1.cri",
               directory_ / "root/io.containerd.runtime.v2.task",
               directory_ / "root/io.containerd.grpc.v1.cri", "/run/containerd",
               "/var/lib/cni"},
              {Bin("containerd-shim-serai-v2"), Bin("serai-tender"),
               "/usr/bin/containerd-shim-runc-v2"});
}

std::vector<std::string> TestContainerd::LeaksSince(
    const Snapshot& before) const {
  const auto is_ours = [&](absl::string_view change) {
    // Parents are shared by the tasks, and left by who was not the last.
    if (absl::StrContains(change, " cgroup ")) {
      return absl::StrContains(change, unique_ + "/");
    }
    if (absl::StrContains(change, " process ")) {
      const absl::string_view pid = change.substr(change.rfind(' ') + 1);
      return MountNamespaceOf(pid) == MountNamespaceOf("self");
    }
    return true;
  };
  const absl::Time deadline = absl::Now() + kPatience;
  std::vector<std::string> leaks;
  do {
    leaks.clear();
    ReapOrphans(pid_);
    for (std::string& change : ChangesSince(before, absl::Milliseconds(200))) {
      if (is_ours(change)) leaks.push_back(std::move(change));
    }
  } while (!leaks.empty() && absl::Now() < deadline);
  return leaks;
}

std::string TestContainerd::Log() const {
  return ReadFile(directory_ / "containerd.log", 64 << 20).value_or("(no log)");
}

void ContainerdTest::SetUp() {
  SERAI_NEED("root");
  SERAI_NEED("net");
  SERAI_NEED("containerd");
  ASSERT_OK(EnterOwnMachine());
  containerd_ = std::make_unique<TestContainerd>();
  containerd_->Start();
}

}  // namespace serai::testing
