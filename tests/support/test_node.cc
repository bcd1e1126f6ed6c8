// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_node.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

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

constexpr char kDebianPlugins[] = "/usr/lib/cni";

// Several nodes of one process, and of several processes, don't meet.
std::string Unique(absl::string_view prefix) {
  static std::atomic<int> counter{0};
  return absl::StrCat(prefix, ::getpid() % 100000, "n", ++counter);
}

std::string UniqueSubnet(bool large) {
  static std::atomic<int> counter{0};
  const int number = (::getpid() * 7 + ++counter) % 60000;
  const int second = 16 + number / 250 % 200;
  if (large) return absl::StrCat("10.", second, ".0.0/16");
  return absl::StrCat("10.", second, ".", number % 250, ".0/24");
}

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
      subnet_(UniqueSubnet(options_.large_subnet)),
      cgroup_parent_(Unique("/serai-test-")),
      forwarding_(ReadFile(kForwarding, 16).value_or("0")) {
  SetLogDirectory(directory_ / "logs");
  SetCgroupParent(options_.pods_cgroup);
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
        R"("}]],"routes":[{"dst":"0.0.0.0/0"}]}})");
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
              "\"\n[registry]\nconfig_path = \"\"\n[metrics]\naddress = \"",
              options_.metrics_address, "\"\n[cni]\nconf_dir = \"", conf_dir,
              "\"\nbin_dirs = [", bin_dirs, "]\n", options_.more_config))
          .ok());
}

void TestNode::Spawn() {
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
}

void TestNode::Kill() { ::kill(pid_, SIGKILL); }

void TestNode::Replace() {
  Kill();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  Spawn();
}

void TestNode::Start() {
  Spawn();
  const auto channel = Connect(socket());
  ASSERT_TRUE(channel.ok()) << channel.status() << "\n" << DaemonLog();
  control_ = control::v1::Control::NewStub(*channel);
}

void TestNode::Stop(int signal_number) {
  if (pid_ < 0) return;
  // An open connection that nobody reads from would hold up the server's end.
  Disconnect();
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

}  // namespace serai::testing
