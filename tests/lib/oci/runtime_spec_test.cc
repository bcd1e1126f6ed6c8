// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/runtime_spec.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

RuntimeSpec FullSpec() {
  RuntimeSpec spec;
  spec.root_path = "/var/lib/serai/unpacked/abc";
  spec.args = {"/app.hvt", "--name", "a \"b\" \\c", ""};
  spec.env = {"A=b c", "A=d"};
  spec.raw_args = true;
  spec.oom_score_adj = -5;
  spec.hostname = "pod";
  spec.network_namespace = "/run/serai/netns/x";
  spec.cgroups_path = "/kubepods/podx/y";
  spec.resources.memory_limit = 64 << 20;
  spec.resources.cpu_shares = 2;
  spec.resources.cpu_quota = -1;
  spec.resources.cpu_period = 100000;
  spec.resources.cpus = "0-1";
  spec.resources.mems = "0";
  spec.resources.pids_limit = 10;
  spec.unikernel = "/other.hvt";
  spec.guest_memory = 32 << 20;
  GuestDevice net;
  net.name = "service";
  net.tap = "serai0";
  net.mac = "02:00:00:Aa:bB:01";
  net.mtu = 1450;
  net.lease = {"10.0.0.7", 32, "169.254.1.1", {"10.96.0.10"}, "pod"};
  GuestDevice block;
  block.name = "storage";
  block.type = GuestDevice::Type::kBlock;
  block.path = "/dev/sdb";
  block.beneath = block.path.substr(0, block.path.rfind('/'));
  block.read_only = true;
  spec.devices = {net, block};
  spec.annotations = {{"some.other/annotation", "value"}};
  return spec;
}

// A document with `args` and one annotation.
std::string WithAnnotation(absl::string_view key, absl::string_view json) {
  return absl::StrCat(R"({"root":{"path":"/r"},"process":{"args":["a"]},)",
                      R"("annotations":{")", key, R"(":)", json, "}}");
}

std::string WithDevices(std::string devices) {
  std::string quoted;
  for (const char c : devices) {
    if (c == '"') quoted += '\\';
    quoted += c;
  }
  return WithAnnotation(kDevicesAnnotation, "\"" + quoted + "\"");
}

TEST(RuntimeSpecTest, WhatIsWrittenIsReadBack) {
  const RuntimeSpec spec = FullSpec();
  ASSERT_OK_AND_ASSIGN(const RuntimeSpec read, ParseRuntimeSpec(ToJson(spec)));
  EXPECT_EQ(read, spec);
  RuntimeSpec least;
  least.root_path = "/r";
  least.args = {"app"};
  ASSERT_OK_AND_ASSIGN(const RuntimeSpec again,
                       ParseRuntimeSpec(ToJson(least)));
  EXPECT_EQ(again, least);
  // Nothing attached, and so said: this is a guest's.
  EXPECT_THAT(ToJson(least), HasSubstr("\"dev.serai.devices\": \"[]\""));
  least.complete = false;
  ASSERT_OK_AND_ASSIGN(const RuntimeSpec containers,
                       ParseRuntimeSpec(ToJson(least)));
  EXPECT_EQ(containers, least);
  EXPECT_THAT(ToJson(least), Not(HasSubstr("annotations")));
}

TEST(RuntimeSpecTest, ReadsWhatContainerdWritesAndIgnoresTheRest) {
  ASSERT_OK_AND_ASSIGN(const RuntimeSpec spec, ParseRuntimeSpec(R"({
    "ociVersion": "1.1.0",
    "process": {"terminal": false, "user": {"uid": 0}, "args": ["/app", "x"],
                "env": ["PATH=/"], "cwd": "/", "oomScoreAdj": 1000},
    "root": {"path": "rootfs", "readonly": true},
    "hostname": "h",
    "mounts": [{"destination": "/proc", "type": "proc"}],
    "annotations": {"io.kubernetes.cri.sandbox-id": "s"},
    "linux": {
      "resources": {"devices": [{"allow": false}],
                    "memory": {"limit": 67108864, "swap": null},
                    "cpu": {"shares": 102, "quota": 5000, "period": 100000}},
      "cgroupsPath": "/k8s/x",
      "namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}]}})"));
  EXPECT_EQ(spec.root_path, "rootfs");
  EXPECT_THAT(spec.args, ElementsAre("/app", "x"));
  EXPECT_EQ(spec.unikernel_path(), "/app");
  EXPECT_EQ(spec.oom_score_adj, 1000);
  EXPECT_EQ(spec.network_namespace, "/n");
  EXPECT_EQ(spec.cgroups_path, "/k8s/x");
  EXPECT_EQ(spec.resources.memory_limit, 67108864);
  EXPECT_EQ(spec.resources.cpu_quota, 5000);
  EXPECT_EQ(spec.resources.pids_limit, std::nullopt);
  EXPECT_EQ(spec.guest_memory, std::nullopt);
}

TEST(RuntimeSpecTest, TheAnnotationNamesTheUnikernelWithoutArgs) {
  ASSERT_OK_AND_ASSIGN(
      const RuntimeSpec spec,
      ParseRuntimeSpec(
          R"({"root":{"path":"/r"},"annotations":{"dev.serai.unikernel":"u"}})"));
  EXPECT_EQ(spec.unikernel_path(), "u");
}

TEST(RuntimeSpecTest, NamesTheMemberThatIsWrong) {
  const std::string ok = R"("root":{"path":"/r"},"process":{"args":["a"]})";
  const std::pair<std::string, std::string> cases[] = {
      {"", "config.json is not"},
      {"[]", "config.json is not"},
      {"{" + ok + "} x", "config.json is not"},
      {"{}", "root.path is missing"},
      {R"({"root":{"path":5}})", "root.path is not a string"},
      {R"({"root":"/r"})", "root is not an object"},
      {R"({"root":{"path":"/r"},"annotations":{"dev.serai.devices":"[]"}})",
       "process.args names no unikernel"},
      {R"({"root":{"path":"/r"},"process":{"args":[""]},)"
       R"("annotations":{"dev.serai.devices":"[]"}})",
       "no unikernel"},
      {R"({"root":{"path":"/r"},"process":{"args":[5]}})", "process.args has"},
      {R"({"root":{"path":"/r"},"process":{"args":["a\u0000b"]}})", "NUL"},
      {R"({"root":{"path":"/r"},"process":{"env":"A=b"}})", "process.env is"},
      {R"({"root":{"path":"/r"},"process":{"args":{}}})", "not an array"},
      {"{" + ok + R"(,"linux":{"namespaces":5}})", "linux.namespaces is not"},
      {"{" + ok + R"(,"linux":{"namespaces":[5]}})", "linux.namespaces has"},
      {"{" + ok + R"(,"linux":{"resources":{"memory":{"limit":"1"}}}})",
       "linux.resources.memory.limit is not an integer"},
      {"{" + ok + R"(,"linux":{"resources":{"memory":{"limit":1.5}}}})",
       "linux.resources.memory.limit is not an integer"},
      {"{" + ok +
           R"(,"linux":{"resources":{"pids":{"limit":9223372036854775808}}}})",
       "linux.resources.pids.limit is out of range"},
      {"{" + ok + R"(,"linux":{"resources":{"cpu":{"shares":-1}}}})",
       "linux.resources.cpu.shares is negative"},
      {"{" + ok + R"(,"annotations":{"x":5}})", "annotation x is not"},
      {WithAnnotation("dev.serai.memory", R"("64Mi")"), "dev.serai.memory"},
      {WithAnnotation("dev.serai.memory", R"("0")"), "dev.serai.memory"},
      {WithAnnotation("dev.serai.memory", R"("-5")"), "dev.serai.memory"}};
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ParseRuntimeSpec(json), HasStatus(kInvalid, message)) << json;
  }
}

// A document with this member of `linux`.
std::string WithLinux(absl::string_view member) {
  return absl::StrCat(R"({"root":{"path":"/r"},"linux":{)", member, "}}");
}

TEST(RuntimeSpecTest, ReadsAContainersVolumesAndBlockDevices) {
  ASSERT_OK_AND_ASSIGN(const RuntimeSpec spec, ParseRuntimeSpec(R"({
    "root": {"path": "rootfs"}, "process": {"args": ["app"], "cwd": "/srv"},
    "mounts": [
      {"destination": "/proc", "type": "proc", "source": "proc"},
      {"destination": "/etc/hosts", "type": "bind", "source": "/h",
       "options": ["rbind", "rprivate", "rw"]},
      {"destination": "/v/storage", "source": "/s", "options": ["bind", "ro"]}],
    "linux": {
      "namespaces": [{"type": "network"}],
      "devices": [
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3},
        {"path": "/dev/a", "type": "b", "major": 8, "minor": 1},
        {"path": "/dev/b", "type": "b", "major": 8, "minor": 2}],
      "resources": {"devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "access": "rwm"},
        {"allow": true, "type": "b", "major": 8, "minor": 1, "access": "rm"},
        {"allow": true, "type": "b", "major": 8, "minor": 2,
         "access": "rwm"}]}}})"));
  EXPECT_FALSE(spec.complete);
  EXPECT_EQ(spec.cwd, "/srv");
  EXPECT_TRUE(spec.new_network_namespace);
  EXPECT_THAT(spec.mounts, ElementsAre(BindMount{"/etc/hosts", "/h", false},
                                       BindMount{"/v/storage", "/s", true}));
  EXPECT_THAT(spec.block_devices, ElementsAre(BlockDevice{"/dev/a", 8, 1, true},
                                              BlockDevice{"/dev/b", 8, 2}));
  ASSERT_OK_AND_ASSIGN(const RuntimeSpec again, ParseRuntimeSpec(ToJson(spec)));
  EXPECT_EQ(again, spec);
}

TEST(RuntimeSpecTest, NamesTheMemberOfAContainerThatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"root":{"path":"/r"},"mounts":{}})", "mounts is not an array"},
      {R"({"root":{"path":"/r"},"mounts":[5]})", "mounts has"},
      {R"({"root":{"path":"/r"},"mounts":[{"type":1}]})", "mounts[].type"},
      {R"({"root":{"path":"/r"},"mounts":[{"options":1}]})", "mounts[].opt"},
      {R"({"root":{"path":"/r"},"mounts":[{"options":[1]}]})", "mounts[].opt"},
      {R"({"root":{"path":"/r"},"mounts":[{"type":"bind","source":1}]})",
       "mounts[].source"},
      {R"({"root":{"path":"/r"},"process":{"cwd":1}})", "process.cwd"},
      {WithLinux(R"("devices":1)"), "linux.devices is not"},
      {WithLinux(R"("devices":[{"type":"b","major":4096}])"), "out of range"},
      {WithLinux(R"("devices":[{"type":"b","minor":1048576}])"),
       "out of range"},
      {WithLinux(R"("devices":[{"type":"b","major":-1}])"), "is negative"},
      {WithLinux(
           R"("devices":[{"type":"b"}],"resources":{"devices":[{"allow":1}]})"),
       "linux.resources.devices[].allow"},
      {WithLinux(R"("namespaces":[{"type":"network"},{"type":"network"}])"),
       "a network twice"}};
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ParseRuntimeSpec(json), HasStatus(kInvalid, message)) << json;
  }
}

TEST(RuntimeSpecTest, ZeroIsNoLimit) {
  ASSERT_OK_AND_ASSIGN(
      const RuntimeSpec spec,
      ParseRuntimeSpec(
          WithLinux(R"("resources":{"memory":{"limit":0},"pids":{"limit":0},)"
                    R"("cpu":{"shares":0,"quota":0,"period":0}})")));
  EXPECT_EQ(spec.resources, Resources());
}

TEST(RuntimeSpecTest, APodCanNotGiveItselfTheHostsFiles) {
  for (const char* key :
       {kDevicesAnnotation, kMemoryAnnotation, kArgumentsAnnotation}) {
    EXPECT_THAT(
        ParseRuntimeSpec(absl::StrCat(
            R"({"root":{"path":"/r"},"process":{"args":["a"]},"annotations":{")",
            kContainerTypeAnnotation, R"(":"container",")", key,
            R"(":"[]"}})")),
        HasStatus(kInvalid, "is not a pod's to give"));
  }
}

TEST(RuntimeSpecTest, ArgumentsAreRawWhereThatIsSaid) {
  ASSERT_OK_AND_ASSIGN(
      const RuntimeSpec raw,
      ParseRuntimeSpec(WithAnnotation(kArgumentsAnnotation, R"("raw")")));
  EXPECT_TRUE(raw.raw_args);
  EXPECT_THAT(ParseRuntimeSpec(WithAnnotation(kArgumentsAnnotation, R"("x")")),
              HasStatus(kInvalid, "is not \"raw\""));
}

TEST(RuntimeSpecTest, KnowsAPodsSandbox) {
  for (const bool is_sandbox : {true, false}) {
    ASSERT_OK_AND_ASSIGN(const RuntimeSpec spec,
                         ParseRuntimeSpec(WithAnnotation(
                             kContainerTypeAnnotation,
                             is_sandbox ? R"("sandbox")" : R"("container")")));
    EXPECT_EQ(spec.is_sandbox(), is_sandbox);
  }
}

TEST(RuntimeSpecTest, NamesTheDeviceThatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"5", "not a JSON array"},
      {"[5]", "not an object"},
      {R"([{"type":"net","tap":"t"}])", "name is not"},
      {R"([{"name":"a b","type":"net","tap":"t"}])", "name is not"},
      {R"([{"name":"n","type":"usb"}])", "n: type is neither"},
      {R"([{"name":"n","type":"net"}])", "n: tap is no interface name"},
      {R"([{"name":"n","type":"net","tap":"../../x"}])", "n: tap"},
      {R"([{"name":"n","type":"net","tap":"0123456789abcdef"}])", "n: tap"},
      {R"([{"name":"n","type":"net","tap":"t","mac":"02:00:00:00:00"}])",
       "n: mac"},
      {R"([{"name":"n","type":"net","tap":"t","mac":"02-00-00-00-00-00"}])",
       "n: mac"},
      {R"([{"name":"n","type":"net","tap":"t","mtu":5}])", "n: mtu"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":[]}])", "n: dhcp is not"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":{}}])", "n: dhcp.address"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":{"address":"::1"}}])",
       "n: dhcp.address"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":{"address":"1.2.3.4",)"
       R"("prefixLength":33}}])",
       "n: dhcp.prefixLength"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":{"address":"1.2.3.4",)"
       R"("gateway":"x"}}])",
       "n: dhcp.gateway"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":{"address":"1.2.3.4",)"
       R"("dns":["::1"]}}])",
       "n: dhcp.dns has"},
      {R"([{"name":"n","type":"net","tap":"t","dhcp":{"address":"1.2.3.4",)"
       R"("dns":"1.1.1.1"}}])",
       "n: dhcp.dns is no array"},
      {R"([{"name":"n","type":"block","path":"x"}])", "n: path is not abs"},
      {R"([{"name":"n","type":"block","path":"/x","readonly":1}])",
       "n: readonly is not true or false"},
      {R"([{"name":"n","type":"block","path":"/x/y","beneath":"/z"}])",
       "n: beneath is no directory that the path is in"},
      {R"([{"name":"n","type":"block","path":"/x/","beneath":"/x/y"}])",
       "n: beneath is no directory that the path is in"},
      {R"([{"name":"n","type":"block","path":"/x","inImage":true}])",
       "n: inImage of a device that can be written"},
      {R"([{"name":"n","type":"block","path":"/x"},)"
       R"({"name":"n","type":"net","tap":"t"}])",
       "n is there twice"}};
  for (const auto& [devices, message] : cases) {
    EXPECT_THAT(ParseRuntimeSpec(WithDevices(devices)),
                HasStatus(kInvalid, message))
        << devices;
  }
}

TEST(ResourcesTest, AreReadByThemselves) {
  ASSERT_OK_AND_ASSIGN(const Resources resources,
                       ParseResources(R"({"memory":{"limit":67108864,"swap":1},
                         "cpu":{"shares":512,"quota":-1,"cpus":"0-1"},
                         "pids":{"limit":9},"unified":{"io.weight":"1"}})"));
  Resources expected;
  expected.memory_limit = 67108864;
  expected.cpu_shares = 512;
  expected.cpu_quota = -1;
  expected.cpus = "0-1";
  expected.pids_limit = 9;
  EXPECT_EQ(resources, expected);
  ASSERT_OK_AND_ASSIGN(const Resources none, ParseResources("{}"));
  EXPECT_EQ(none, Resources());
}

TEST(ResourcesTest, NonsenseIsRefused) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "not an object"},
      {"[]", "not an object"},
      {std::string(100, '['), "not an object"},
      {std::string(kMaxRuntimeSpecBytes + 1, ' '), "too long"},
      {R"({"memory":5})", "memory is not an object"},
      {R"({"memory":{"limit":"1G"}})", "memory.limit is not an integer"},
      {R"({"cpu":{"shares":-1}})", "cpu.shares is negative"},
      {R"({"cpu":{"cpus":7}})", "cpu.cpus is not a string"},
      {R"({"pids":{"limit":1e30}})", "pids.limit is not an integer"}};
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ParseResources(json), HasStatus(kInvalid, message))
        << json.substr(0, 80);
  }
}

TEST(RuntimeSpecTest, DepthAndSizeAreBounded) {
  const std::string nested(100'000, '[');
  EXPECT_THAT(ParseRuntimeSpec(nested), HasStatus(kInvalid, "config.json"));
  EXPECT_THAT(ParseRuntimeSpec(absl::StrCat(R"({"x":)", std::string(70, '['),
                                            std::string(70, ']'), "}")),
              HasStatus(kInvalid, "config.json"));
  EXPECT_THAT(ParseRuntimeSpec(std::string(kMaxRuntimeSpecBytes + 1, ' ')),
              HasStatus(kInvalid, "too long"));
}

}  // namespace
}  // namespace serai::oci
