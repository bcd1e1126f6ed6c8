// SPDX-License-Identifier: Apache-2.0
// Pods as containerd's CRI plugin has them: its CNI plugins have been there,
// its config.json names the namespace, and the shim does the rest.
#include "cni/network.h"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/netns.h"
#include "tests/shim/container_bundle.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/http_get.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::BuildDir;
using ::serai::testing::ContainerAnnotations;
using ::serai::testing::ContainerBundle;
using ::serai::testing::ContainerConfig;
using ::serai::testing::HasStatus;
using ::serai::testing::HttpGetRetried;
using ::serai::testing::PodShim;
using ::serai::testing::SandboxAnnotations;
using ::serai::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr char kSandbox[] = "sandbox";

// Runs a command line in a namespace and returns what it prints.
std::string RunIn(const std::string& netns, const std::string& line) {
  std::string output;
  const auto opened = host::OpenNetns(netns);
  EXPECT_OK(opened);
  if (!opened.ok()) return "";
  EXPECT_OK(host::RunInNetns(opened->get(), [&]() -> absl::Status {
    SubprocessSpec spec;
    spec.program = "/bin/sh";
    spec.args = {"-c", line};
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
    output = result.output;
    return absl::OkStatus();
  }));
  return output;
}

// A node with a bridge and a pod on it, each a namespace of the test's own; the
// pod's made by the bridge plugin.
class ContainerNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    node_ = dir_ / "node";
    pod_ = dir_ / "pod";
    ASSERT_OK(host::CreateNetns(node_));
    ASSERT_OK(host::CreateNetns(pod_));
    ASSERT_OK(MakeDirs(dir_ / "conf"));
    ASSERT_OK(WriteFileAtomic(
        dir_ / "conf/10-test.conflist",
        absl::StrCat(
            R"({"cniVersion": "0.4.0", "name": "test", "plugins": [
                {"type": ")",
            FirstPlugin(), R"(", "bridge": "br0", "isGateway": true,
                 "ipam": {"type": "host-local", "dataDir": ")",
            dir_ / "ipam",
            R"(", "ranges": [[{"subnet": "10.66.0.0/24"}]],
                 "routes": [{"dst": "0.0.0.0/0"}]}})",
            MorePlugins(), "]}")));
    cni_ = std::make_unique<cni::Client>(cni::Options{
        dir_ / "conf",
        {"/opt/cni/bin", "/usr/lib/cni", JoinPath(BuildDir(), "bin")},
        dir_ / "cache"});
    ASSERT_OK(InNode([&]() -> absl::Status {
      cni::Attachment attachment;
      attachment.container_id = kSandbox;
      attachment.netns = pod_;
      ASSIGN_OR_RETURN(const cni::Result result, cni_->Add(attachment));
      ip_ = result.ips[0].address;
      return absl::OkStatus();
    }));
    shim_ = std::make_unique<PodShim>();
  }

  void TearDown() override {
    shim_.reset();
    if (cni_) EXPECT_OK(InNode([&] { return cni_->Del(kSandbox); }));
    EXPECT_OK(host::RemoveNetns(pod_));
    EXPECT_OK(host::RemoveNetns(node_));
  }

  virtual std::string FirstPlugin() const { return "bridge"; }
  virtual std::string MorePlugins() const { return ""; }

  absl::Status InNode(absl::FunctionRef<absl::Status()> work) {
    ASSIGN_OR_RETURN(const UniqueFd node, host::OpenNetns(node_));
    return host::RunInNetns(node.get(), work);
  }

  // Links of the pod's namespace and what leads from its interface.
  std::string PodState() {
    return RunIn(pod_,
                 "ip -o link | cut -d: -f2; tc filter show dev eth0 ingress");
  }

  absl::Status StartSandbox() {
    ContainerBundle bundle;
    bundle.args = {"/pause"};
    bundle.annotations = SandboxAnnotations(kSandbox);
    bundle.netns = pod_;
    RETURN_IF_ERROR(WriteContainerBundle(shim_->BundlePath(kSandbox), bundle,
                                         {"hello.spt"}));
    RETURN_IF_ERROR(shim_->CreateFromBundle(kSandbox));
    return shim_->Start(kSandbox);
  }

  // As a container's specification has it.
  std::string SandboxNetns() {
    return absl::StrCat("/proc/", shim_->State(kSandbox)->pid(), "/ns/net");
  }

  ContainerBundle Container(const std::string& guest,
                            const std::string& netns) {
    ContainerBundle bundle;
    bundle.args = {"/" + guest};
    bundle.annotations = ContainerAnnotations(kSandbox);
    bundle.netns = netns;
    bundle.memory_limit = 32 << 20;
    bundle.cgroups_path = shim_->CgroupPath(guest);
    return bundle;
  }

  absl::Status CreateContainer(const std::string& id,
                               const ContainerBundle& bundle,
                               const std::string& guest) {
    RETURN_IF_ERROR(
        WriteContainerBundle(shim_->BundlePath(id), bundle, {guest}));
    return shim_->CreateFromBundle(id);
  }

  std::string Get() {
    std::string answer;
    EXPECT_OK(InNode([&]() -> absl::Status {
      ASSIGN_OR_RETURN(answer, HttpGetRetried(ip_, 80, "/"));
      return absl::OkStatus();
    }));
    return answer;
  }

  TempDir dir_;
  std::string node_;
  std::string pod_;
  std::string ip_;
  std::unique_ptr<cni::Client> cni_;
  std::unique_ptr<PodShim> shim_;
};

TEST_F(ContainerNetworkTest, AGuestAnswersAtThePodsAddressAndLeavesNothing) {
  ASSERT_OK(StartSandbox());
  const std::string before = PodState();
  // Again and again, as a container that is restarted.
  for (const std::string id : {"one", "two", "three"}) {
    ASSERT_OK(
        CreateContainer(id, Container("web.spt", SandboxNetns()), "web.spt"));
    EXPECT_THAT(PodState(), HasSubstr("serai0"));
    ASSERT_OK(shim_->Start(id));
    EXPECT_THAT(Get(), HasSubstr("200 OK")) << shim_->LogText(id, "stdout");
    ASSERT_OK(shim_->Kill(id, SIGKILL));
    EXPECT_EQ(shim_->Wait(id).value_or(0), 128U + SIGKILL);
    EXPECT_OK(shim_->Delete(id));
    EXPECT_EQ(PodState(), before);
  }
}

// With serai-tap as the network's first plugin, or its second.
class TapPluginNetworkTest : public ContainerNetworkTest,
                             public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(ContainerNetworkTest::SetUp());
    // A shim that is the node's, in whose namespace taps may be.
    shim_.reset();
    ASSERT_OK_AND_ASSIGN(own_, host::OpenNetns("/proc/thread-self/ns/net"));
    ASSERT_OK_AND_ASSIGN(const UniqueFd node, host::OpenNetns(node_));
    ASSERT_EQ(::setns(node.get(), CLONE_NEWNET), 0);
    shim_ = std::make_unique<PodShim>();
  }
  void TearDown() override {
    if (own_.valid()) {
      EXPECT_EQ(::setns(own_.get(), CLONE_NEWNET), 0);
    }
    ContainerNetworkTest::TearDown();
  }

  std::string FirstPlugin() const override {
    return GetParam() ? "serai-tap" : "bridge";
  }
  std::string MorePlugins() const override {
    return GetParam() ? "" : R"(, {"type": "serai-tap"})";
  }

  UniqueFd own_;
};

INSTANTIATE_TEST_SUITE_P(Forms, TapPluginNetworkTest, ::testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "OnABridge" : "Chained";
                         });

TEST_P(TapPluginNetworkTest, ItsTapsAreUsedAndLeftAsTheyAre) {
  ASSERT_OK(StartSandbox());
  const auto links = [&] {
    return absl::StrCat(RunIn(pod_, "ip -o link | cut -d: -f1,2"),
                        RunIn(node_, "ip -o link | cut -d: -f1,2"));
  };
  const std::string before = links();
  for (const std::string id : {"one", "two"}) {
    ASSERT_OK(
        CreateContainer(id, Container("web.spt", SandboxNetns()), "web.spt"));
    ASSERT_OK(shim_->Start(id));
    EXPECT_THAT(Get(), HasSubstr("200 OK")) << shim_->LogText(id, "stdout");
    ASSERT_OK(shim_->Kill(id, SIGKILL));
    EXPECT_EQ(shim_->Wait(id).value_or(0), 128U + SIGKILL);
    EXPECT_OK(shim_->Delete(id));
    EXPECT_EQ(links(), before);
  }
  EXPECT_OK(InNode([&] { return cni_->Check(kSandbox); }));
}

TEST_F(ContainerNetworkTest, AnHvtGuestIsFoundWithoutAWordOfIt) {
  SERAI_NEED("kvm");
  ASSERT_OK(StartSandbox());
  ContainerBundle bundle = Container("web.hvt", SandboxNetns());
  bundle.args = {"--port=80"};
  ASSERT_OK(CreateContainer("web", bundle, "web.hvt"));
  ASSERT_OK(shim_->Start("web"));
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
  EXPECT_EQ(shim_->Info("web")->target(), "hvt");
}

// As containerd's CRI plugin says it.
TEST_F(ContainerNetworkTest, AGuestIsToldItsNameAndNameServers) {
  ASSERT_OK(StartSandbox());
  ASSERT_OK(WriteFileAtomic(dir_ / "resolv.conf",
                            "# DNS\nsearch default.svc\nnameserver 10.96.0.10\n"
                            "nameserver fd00::a\nnameserver nobody\n"));
  ContainerBundle web = Container("web.spt", SandboxNetns());
  web.annotations["io.kubernetes.cri.sandbox-name"] = "pod-a";
  web.mounts = {{{"destination", "/etc/resolv.conf"},
                 {"type", "bind"},
                 {"source", dir_ / "resolv.conf"},
                 {"options", {"rbind", "ro"}}}};
  ASSERT_OK(CreateContainer("web", web, "web.spt"));
  ASSERT_OK(shim_->Start("web"));
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
  EXPECT_THAT(shim_->LogText("web", "stdout"),
              AllOf(HasSubstr("web: called pod-a\n"),
                    HasSubstr("web: name servers tcp:10.96.0.10\n")));
}

TEST_F(ContainerNetworkTest, AGuestThatTakesNoAddressGetsItByDhcp) {
  ASSERT_OK(StartSandbox());
  const std::string before = PodState();
  ContainerBundle dhcp = Container("dhcp.spt", SandboxNetns());
  for (const std::string id : {"one", "two"}) {
    ASSERT_OK(CreateContainer(id, dhcp, "dhcp.spt"));
    ASSERT_OK(shim_->Start(id));
    EXPECT_TRUE(shim_->WaitForLog(id, "listening"))
        << shim_->LogText(id, "stdout");
    EXPECT_THAT(shim_->LogText(id, "stdout"),
                HasSubstr(absl::StrCat("dhcp: address ", ip_,
                                       ", mask 255.255.255.0, gateway "
                                       "10.66.0.1, server 10.66.0.1")));
    // From outside, at that address.
    EXPECT_THAT(RunIn(node_, "ping -c 1 -W 5 " + ip_), HasSubstr("1 received"));
    ASSERT_OK(shim_->Kill(id, SIGKILL));
    ASSERT_OK(shim_->Wait(id).status());
    ASSERT_OK(shim_->Delete(id));
    EXPECT_EQ(PodState(), before);
  }
}

TEST_F(ContainerNetworkTest, RumprunsCommandLineIsOneObject) {
  ASSERT_OK(StartSandbox());
  ContainerBundle hello = Container("hello.spt", SandboxNetns());
  hello.args = {"/hello.spt", "two words"};
  hello.annotations["serai.dev/network-args"] = "rumprun";
  ASSERT_OK(CreateContainer("hello", hello, "hello.spt"));
  ASSERT_OK(shim_->Start("hello"));
  ASSERT_OK(shim_->Wait("hello").status());
  EXPECT_THAT(shim_->LogText("hello", "stdout"),
              HasSubstr(R"(line: {"cmdline":"hello.spt 'two words'",)"
                        R"("env":"PATH=/usr/bin:/bin","env":"HOSTNAME=pod",)"
                        R"("cwd":"/"})"));
  hello.annotations["dev.serai.arguments"] = "raw";
  EXPECT_THAT(CreateContainer("raw", hello, "hello.spt"),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "dev.serai.arguments is not a pod's to give"));
}

TEST_F(ContainerNetworkTest, ASecondNetworkGuestIsToldWhoHasTheInterface) {
  ASSERT_OK(StartSandbox());
  const ContainerBundle web = Container("web.spt", SandboxNetns());
  ASSERT_OK(CreateContainer("one", web, "web.spt"));
  const std::string wired = PodState();
  EXPECT_THAT(CreateContainer("two", web, "web.spt"),
              HasStatus(kPrecondition,
                        "the pod's interface eth0 is another container's"));
  EXPECT_EQ(PodState(), wired);
  // One without a network has room beside it.
  EXPECT_OK(CreateContainer("three", Container("hello.spt", SandboxNetns()),
                            "hello.spt"));
  ASSERT_OK(shim_->Start("one"));
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
}

TEST_F(ContainerNetworkTest, TheTapOfADeadGuestIsTakenOver) {
  ASSERT_OK(StartSandbox());
  const std::string before = PodState();
  const ContainerBundle web = Container("web.spt", SandboxNetns());
  ASSERT_OK(CreateContainer("one", web, "web.spt"));
  ASSERT_OK(shim_->Start("one"));
  ASSERT_OK(shim_->Kill("one", SIGKILL));
  ASSERT_OK(shim_->Wait("one").status());
  ContainerBundle again = web;
  again.cgroups_path = shim_->CgroupPath("two");
  ASSERT_OK(CreateContainer("two", again, "web.spt"));
  // The first's end must not cost the second its tap.
  ASSERT_OK(shim_->Delete("one"));
  EXPECT_THAT(PodState(), HasSubstr("serai0"));
  ASSERT_OK(shim_->Start("two"));
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
  ASSERT_OK(shim_->Kill("two", SIGKILL));
  ASSERT_OK(shim_->Wait("two").status());
  EXPECT_OK(shim_->Delete("two"));
  EXPECT_EQ(PodState(), before);
}

TEST_F(ContainerNetworkTest, TheDeleteCommandRemovesADeadShimsTap) {
  ASSERT_OK(StartSandbox());
  const std::string before = PodState();
  ASSERT_OK(
      CreateContainer("web", Container("web.spt", SandboxNetns()), "web.spt"));
  ASSERT_OK(shim_->Start("web"));
  EXPECT_NE(PodState(), before);
  shim_->KillShim();
  EXPECT_OK(shim_->Command("delete", shim_->BundlePath("web")));
  EXPECT_EQ(PodState(), before);
  EXPECT_OK(shim_->Command("delete", shim_->BundlePath("web")));
}

TEST_F(ContainerNetworkTest, WhatIsNotThereIsSaidAndNothingIsLeft) {
  const std::string before = PodState();
  ContainerBundle web = Container("web.spt", dir_ / "none");
  EXPECT_THAT(CreateContainer("a", web, "web.spt"),
              HasStatus(kPrecondition, "the pod's network namespace"));
  web.netns = "";
  EXPECT_THAT(CreateContainer("b", web, "web.spt"),
              HasStatus(kPrecondition, "--with-ns network:"));
  web.netns.reset();
  EXPECT_THAT(CreateContainer("c", web, "web.spt"),
              HasStatus(kPrecondition, "in the host's network"));
  web.netns = pod_;
  web.args = {"/web.spt", std::string(9000, 'x')};
  EXPECT_FALSE(CreateContainer("d", web, "web.spt").ok());
  RunIn(pod_, "ip link delete eth0");
  web.args = {"/web.spt"};
  EXPECT_THAT(CreateContainer("e", web, "web.spt"),
              HasStatus(kPrecondition, "no Ethernet interface"));
  EXPECT_THAT(PodState(), Not(HasSubstr("serai0")));
  EXPECT_TRUE(absl::StrContains(before, "eth0"));
}

// kB of the process's own memory, not of its file.
uint64_t OwnMemory(pid_t pid) {
  const auto rollup =
      ReadFile(absl::StrCat("/proc/", pid, "/smaps_rollup"), 1 << 16);
  EXPECT_OK(rollup);
  const std::string text = rollup.value_or("");
  const size_t at = text.find("Anonymous:");
  uint64_t kilobytes = 0;
  EXPECT_TRUE(
      at != std::string::npos &&
      absl::SimpleAtoi(text.substr(at + 10, text.find("kB", at) - at - 10),
                       &kilobytes));
  return kilobytes;
}

TEST_F(ContainerNetworkTest, TheShimStaysSmall) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' memory is not the shim's";
#endif
  ASSERT_OK(StartSandbox());
  // An image that has to be searched.
  const std::string bundle = shim_->BundlePath("web");
  for (int i = 0; i < 2000; ++i) {
    const std::string directory =
        absl::StrCat(bundle, "/rootfs/usr/lib/", i % 40);
    ASSERT_OK(MakeDirs(directory));
    ASSERT_OK(WriteFileAtomic(absl::StrCat(directory, "/file", i), "text", 0644,
                              Durability::kProcess));
  }
  ContainerBundle web = Container("web.spt", SandboxNetns());
  web.args = {"--port=80"};
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(CreateContainer("web", web, "web.spt"));
    ASSERT_OK(shim_->Start("web"));
    EXPECT_THAT(Get(), HasSubstr("200 OK"));
    const uint64_t own = OwnMemory(shim_->pid());
    RecordProperty("own_kb", static_cast<int>(own));
    EXPECT_LE(own, 300U);
    ASSERT_OK(shim_->Kill("web", SIGKILL));
    ASSERT_OK(shim_->Wait("web").status());
    ASSERT_OK(shim_->Delete("web"));
  }
}

// Each is refused with a sentence; the shim lives and nothing is left.
TEST_F(ContainerNetworkTest, MalformedSpecificationsAreRefused) {
  ASSERT_OK(StartSandbox());
  const std::string before = PodState();
  const ContainerBundle good = Container("web.spt", SandboxNetns());
  ASSERT_OK(WriteContainerBundle(shim_->BundlePath("bad"), good,
                                 {"web.spt", "hello.hvt"}));
  const nlohmann::json config = ContainerConfig(good);
  const std::pair<const char*, nlohmann::json> cases[] = {
      {"/process/args", {1}},
      {"/process/args/0", "/web.spt/x"},
      {"/process/args/0", std::string(9000, 'a')},
      {"/process/args/0", "/proc/self/exe"},
      {"/process/cwd", 7},
      {"/root/path", "nowhere"},
      {"/root/path", "config.json"},
      {"/root", nullptr},
      {"/linux/namespaces", "none"},
      {"/linux/namespaces/4/path", "/dev/null"},
      {"/linux/namespaces/4/path", "/proc/self/ns/mnt"},
      {"/linux/namespaces/4/path", ""},
      {"/linux/resources/memory/limit", -1.5},
      {"/linux/resources/memory/limit", 1},
      {"/linux/resources/memory/limit", "64Mi"},
      {"/linux/resources/cpu/quota", 1},
      {"/linux/devices", {{{"type", "b"}, {"major", -1}}}},
      {"/linux/cgroupsPath", "/../../x"},
      {"/mounts", {{{"type", "bind"}, {"options", 3}}}},
      {"/mounts", 3},
      {"/annotations/serai.dev~1memory", "lots"},
      {"/annotations/serai.dev~1memory", "1Ti"},
      {"/annotations/serai.dev~1unikernel", "/none"},
      {"/annotations/serai.dev~1network-args", "some"},
      {"/annotations/dev.serai.devices",
       R"([{"name":"service","type":"block","path":"/etc/shadow"}])"},
      {"/annotations/dev.serai.memory", "1"},
      {"/annotations/com.urunc.unikernel.binary", "b64:///"},
  };
  for (const auto& [pointer, value] : cases) {
    nlohmann::json bad = config;
    bad[nlohmann::json::json_pointer(pointer)] = value;
    ASSERT_OK(WriteFileAtomic(shim_->BundlePath("bad") + "/config.json",
                              bad.dump(), 0600, Durability::kProcess));
    const absl::Status created = shim_->CreateFromBundle("bad");
    ASSERT_FALSE(created.ok()) << pointer << " " << value;
    EXPECT_GT(created.message().size(), 20U) << pointer << " " << created;
    EXPECT_FALSE(absl::IsDeadlineExceeded(created)) << created;
    EXPECT_FALSE(absl::IsUnavailable(created)) << created;
    if (!shim_->State(kSandbox).ok()) FAIL() << "the shim is gone";
    EXPECT_EQ(PodState(), before) << pointer << " " << value;
  }
  ASSERT_OK(CreateContainer("good", good, "web.spt"));
}

ino_t InodeOf(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_ino;
}

TEST_F(ContainerNetworkTest, ANewNamespaceIsNotTheHosts) {
  ContainerBundle spin = Container("spin.spt", "");
  ASSERT_OK(CreateContainer("a", spin, "spin.spt"));
  ASSERT_OK(shim_->Start("a"));
  const std::string tender =
      absl::StrCat("/proc/", shim_->State("a")->pid(), "/ns/net");
  ASSERT_TRUE(shim_->WaitForLog("a", ""));
  absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (InodeOf(tender) == InodeOf("/proc/self/ns/net") &&
         absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_NE(InodeOf(tender), InodeOf("/proc/self/ns/net"));
}

}  // namespace
}  // namespace serai::shim
