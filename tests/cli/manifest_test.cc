// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "cli/volumes.h"
#include "gmock/gmock.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cli {
namespace {

namespace v1 = runtime::v1;
using serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A whole pod, with more fields of the container and of the spec.
std::string Pod(const std::string& container, const std::string& spec = "") {
  return absl::StrCat(
      "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {", spec,
      spec.empty() ? "" : ", ", "containers: [{name: web, image: app",
      container.empty() ? "" : ", ", container, "}]}}");
}

TEST(ManifestTest, ReadsAWholePod) {
  ASSERT_OK_AND_ASSIGN(const PodManifest pod, ParsePodManifest(R"yaml(
apiVersion: v1
kind: Pod
metadata:
  name: web.example
  namespace: shop
  uid: 0c2c-11
  labels: {app: web}
  annotations: {serai.dev/network-args: mirage}
spec:
  runtimeClassName: fast
  hostname: shopfront
  nodeSelector: {any: thing}
  terminationGracePeriodSeconds: 5
  dnsConfig:
    nameservers: [10.0.0.1]
    searches: [shop.local]
    options: [{name: ndots, value: "5"}, {name: rotate}]
  containers:
  - name: server
    image: registry.local/web:1
    imagePullPolicy: Always
    command: [/app.hvt]
    args: ["--name=$(WHO)", "$$(WHO)"]
    env:
    - {name: FIRST, value: "me"}
    - {name: WHO, value: "$(FIRST)!"}
    ports:
    - {name: http, containerPort: 80, hostPort: 8080, protocol: TCP}
    - {containerPort: 53, protocol: UDP}
    resources:
      limits: {memory: 64Mi, cpu: 250m}
)yaml"));
  EXPECT_EQ(pod.runtime_handler, "fast");
  EXPECT_EQ(pod.pull_policy, PullPolicy::kAlways);
  EXPECT_FALSE(pod.readiness.has_value());
  const v1::PodSandboxConfig& sandbox = pod.sandbox;
  EXPECT_EQ(sandbox.metadata().name(), "web.example");
  EXPECT_EQ(sandbox.metadata().namespace_(), "shop");
  EXPECT_EQ(sandbox.metadata().uid(), "0c2c-11");
  EXPECT_EQ(sandbox.hostname(), "shopfront");
  EXPECT_THAT(
      sandbox.labels(),
      UnorderedElementsAre(Pair("app", "web"),
                           Pair("io.kubernetes.pod.name", "web.example"),
                           Pair("io.kubernetes.pod.namespace", "shop"),
                           Pair("io.kubernetes.pod.uid", "0c2c-11")));
  EXPECT_EQ(sandbox.annotations().at("serai.dev/network-args"), "mirage");
  EXPECT_THAT(sandbox.dns_config().servers(), ElementsAre("10.0.0.1"));
  EXPECT_THAT(sandbox.dns_config().options(), ElementsAre("ndots:5", "rotate"));
  ASSERT_EQ(sandbox.port_mappings_size(), 2);
  EXPECT_EQ(sandbox.port_mappings(0).host_port(), 8080);
  EXPECT_EQ(sandbox.port_mappings(1).protocol(), v1::UDP);
  const auto& namespaces =
      sandbox.linux().security_context().namespace_options();
  EXPECT_EQ(namespaces.network(), v1::POD);
  EXPECT_EQ(namespaces.pid(), v1::CONTAINER);

  const v1::ContainerConfig& container = pod.container;
  EXPECT_EQ(container.metadata().name(), "server");
  EXPECT_EQ(container.image().image(), "registry.local/web:1");
  EXPECT_EQ(container.log_path(), "server/0.log");
  EXPECT_THAT(container.command(), ElementsAre("/app.hvt"));
  EXPECT_THAT(container.args(), ElementsAre("--name=me!", "$(WHO)"));
  ASSERT_EQ(container.envs_size(), 2);
  EXPECT_EQ(container.envs(1).value(), "me!");
  const auto& resources = container.linux().resources();
  EXPECT_EQ(resources.memory_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(resources.cpu_quota(), 25'000);
  EXPECT_EQ(resources.cpu_period(), 100'000);
  EXPECT_EQ(resources.cpu_shares(), 256);
  EXPECT_EQ(sandbox.linux().resources().memory_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(container.annotations().at(kGracePeriodAnnotation), "5");
  EXPECT_EQ(container.labels().at(kPodUidLabel), "0c2c-11");
}

TEST(ManifestTest, HasDefaults) {
  ASSERT_OK_AND_ASSIGN(PodManifest pod, ParsePodManifest(Pod("")));
  EXPECT_EQ(pod.runtime_handler, "unikernel");
  EXPECT_EQ(pod.pull_policy, PullPolicy::kMissing);
  EXPECT_EQ(pod.sandbox.metadata().namespace_(), "default");
  EXPECT_EQ(pod.sandbox.hostname(), "web");
  EXPECT_FALSE(pod.sandbox.has_dns_config());
  EXPECT_EQ(pod.container.linux().resources().memory_limit_in_bytes(), 0);
  EXPECT_EQ(pod.container.linux().resources().cpu_shares(), 2);
  EXPECT_EQ(pod.container.annotations().at(kGracePeriodAnnotation), "30");
  EXPECT_TRUE(pod.notes.empty());
  SetUid(pod, "u-1");
  EXPECT_EQ(pod.sandbox.metadata().uid(), "u-1");
  EXPECT_EQ(pod.sandbox.labels().at(kPodUidLabel), "u-1");
  EXPECT_EQ(pod.container.labels().at(kPodUidLabel), "u-1");
}

TEST(ManifestTest, MapsHostPathsToMountsAndDevices) {
  ASSERT_OK_AND_ASSIGN(
      const PodManifest pod,
      ParsePodManifest(
          Pod("volumeMounts: [{name: d, mountPath: /data, readOnly: true}], "
              "volumeDevices: [{name: disk, devicePath: /dev/storage}]",
              "volumes: [{name: d, hostPath: {path: /srv/d}}, {name: disk, "
              "hostPath: {path: /srv/disk.img, type: File}}, {name: unused, "
              "emptyDir: {}}]")));
  ASSERT_EQ(pod.container.mounts_size(), 1);
  EXPECT_EQ(pod.container.mounts(0).host_path(), "/srv/d");
  EXPECT_EQ(pod.container.mounts(0).container_path(), "/data");
  EXPECT_TRUE(pod.container.mounts(0).readonly());
  ASSERT_EQ(pod.container.devices_size(), 1);
  EXPECT_EQ(pod.container.devices(0).host_path(), "/srv/disk.img");
  EXPECT_EQ(pod.container.devices(0).container_path(), "/dev/storage");
  EXPECT_EQ(pod.container.devices(0).permissions(), "mrw");
}

TEST(ManifestTest, AnEmptyDirIsMadeBeforeTheContainerAndGoesWithThePod) {
  ASSERT_OK_AND_ASSIGN(
      PodManifest pod,
      ParsePodManifest(
          Pod("volumeMounts: [{name: h, mountPath: /h}, {name: d, mountPath: "
              "/data}]",
              "volumes: [{name: h, hostPath: {path: /srv}}, {name: d, "
              "emptyDir: {}}]")));
  EXPECT_THAT(pod.empty_dirs, ElementsAre(Pair(1, "d")));
  SetUid(pod, "u-1");
  const testing::TempDir base;
  ::setenv("SERAI_VOLUME_DIR", base.path().c_str(), 1);
  {
    Rollback rollback([](const std::string&, const absl::Status&) {});
    ASSERT_OK(MakeEmptyDirs(pod, rollback));
    rollback.Commit();
  }
  const std::string path = pod.container.mounts(1).host_path();
  EXPECT_EQ(path, base / "pods/u-1/volumes/kubernetes.io~empty-dir/d");
  EXPECT_TRUE(PathExists(path));
  EXPECT_OK(RemoveEmptyDirs(".."));
  EXPECT_TRUE(PathExists(path));
  EXPECT_OK(RemoveEmptyDirs("u-1"));
  EXPECT_OK(RemoveEmptyDirs("u-1"));
  EXPECT_FALSE(PathExists(base / "pods/u-1"));
  ::unsetenv("SERAI_VOLUME_DIR");
}

TEST(ManifestTest, ReadsReadinessProbes) {
  ASSERT_OK_AND_ASSIGN(
      const PodManifest http,
      ParsePodManifest(Pod(
          "ports: [{name: http, containerPort: 8080}], readinessProbe: "
          "{httpGet: {path: /ok, port: http, httpHeaders: [{name: A, value: "
          "b}]}, initialDelaySeconds: 3, timeoutSeconds: 2}")));
  ASSERT_TRUE(http.readiness.has_value());
  EXPECT_TRUE(http.readiness->http);
  EXPECT_EQ(http.readiness->port, 8080);
  EXPECT_EQ(http.readiness->path, "/ok");
  EXPECT_EQ(http.readiness->scheme, "http");
  EXPECT_THAT(http.readiness->headers, ElementsAre(Pair("A", "b")));
  EXPECT_EQ(http.readiness->initial_delay, absl::Seconds(3));
  EXPECT_EQ(http.readiness->timeout, absl::Seconds(2));
  ASSERT_OK_AND_ASSIGN(
      const PodManifest tcp,
      ParsePodManifest(Pod("readinessProbe: {tcpSocket: {port: 22}}")));
  ASSERT_TRUE(tcp.readiness.has_value());
  EXPECT_FALSE(tcp.readiness->http);
  EXPECT_EQ(tcp.readiness->port, 22);
}

TEST(ManifestTest, NotesWhatItIgnores) {
  ASSERT_OK_AND_ASSIGN(
      const PodManifest pod,
      ParsePodManifest(Pod("livenessProbe: {tcpSocket: {port: 22}}")));
  EXPECT_THAT(pod.notes, ElementsAre(::testing::HasSubstr(
                             "spec.containers[0].livenessProbe is ignored")));
}

TEST(ManifestTest, RefusesSeveralContainersInOneSentence) {
  EXPECT_THAT(
      ParsePodManifest("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: "
                       "{containers: [{name: a, image: i}, {name: b, image: "
                       "i}]}}"),
      HasStatus(kInvalid,
                "spec.containers: a unikernel pod has exactly one container "
                "(found 2)"));
  EXPECT_THAT(ParsePodManifest(
                  "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {}}"),
              HasStatus(kInvalid, "exactly one container (found 0)"));
}

struct Refusal {
  std::string manifest;
  std::string sentence;
};

class ManifestRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(ManifestRefusalTest, NamesTheField) {
  EXPECT_THAT(ParsePodManifest(GetParam().manifest),
              HasStatus(kInvalid, GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Documents, ManifestRefusalTest,
    ::testing::Values(
        Refusal{"[]", "the document: must be a map"},
        Refusal{"word", "the document: must be a map"},
        Refusal{"{apiVersion: apps/v1, kind: Deployment}",
                "apiVersion v1 and kind Pod"},
        Refusal{"{apiVersion: v1, kind: Pod, spec: {}}", "metadata.name: must"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: ../x}}",
                "metadata.name: must"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: x..y}}",
                "metadata.name: must"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a, uid: ../b}}",
                "metadata.uid: must"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: "
                "A}}",
                "metadata.namespace: must"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {a: "
                "1}}}",
                "metadata.labels.a: must be a string"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: "
                "{containers: {}}}",
                "spec.containers: must be a list"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: "
                "{containers: [3]}}",
                "spec.containers[0]: must be a map"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: "
                "{containers: [{name: a}]}}",
                "spec.containers[0].image: is missing"},
        Refusal{"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: "
                "{containers: [{name: a/b, image: i}]}}",
                "spec.containers[0].name: must"}));

INSTANTIATE_TEST_SUITE_P(
    PodFields, ManifestRefusalTest,
    ::testing::Values(
        Refusal{Pod("", "initContainers: [{name: i}]"), "spec.initContainers:"},
        Refusal{Pod("", "hostNetwork: true"), "spec.hostNetwork:"},
        Refusal{Pod("", "hostPID: true"), "spec.hostPID:"},
        Refusal{Pod("", "shareProcessNamespace: true"),
                "spec.shareProcessNamespace:"},
        Refusal{Pod("", "hostname: a_b"), "spec.hostname: must"},
        Refusal{Pod("", "terminationGracePeriodSeconds: -1"),
                "spec.terminationGracePeriodSeconds: must be a whole number"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v}]",
                    "volumes: [{name: v, nfs: {}}]"),
                "spec.volumes[0]: only hostPath"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v}]",
                    "volumes: [{name: v, configMap: {name: c}}]"),
                "spec.volumes[0].configMap: there is no API server"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v}]",
                    "volumes: [{name: v, emptyDir: {medium: Memory}}]"),
                "spec.volumes[0].emptyDir.medium: only kubelet"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v}]",
                    "volumes: [{name: v, emptyDir: {sizeLimit: 1Gi}}]"),
                "spec.volumes[0].emptyDir.sizeLimit: nobody watches"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v}]"),
                "spec.containers[0].volumeMounts[0].name: names no volume"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: v}]",
                    "volumes: [{name: v, hostPath: {path: /a}}]"),
                "mountPath: must be an absolute path"},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v, subPath: a}]",
                    "volumes: [{name: v, hostPath: {path: /a}}]"),
                "subPath: "},
        Refusal{Pod("volumeMounts: [{name: v, mountPath: /v}]",
                    "volumes: [{name: v, hostPath: {path: /a, type: "
                    "DirectoryOrCreate}}]"),
                "spec.volumes[0].hostPath.type:"}));

INSTANTIATE_TEST_SUITE_P(
    ContainerFields, ManifestRefusalTest,
    ::testing::Values(
        Refusal{Pod("imagePullPolicy: Sometimes"), "imagePullPolicy: must be"},
        Refusal{Pod("envFrom: [{secretRef: {name: s}}]"), "envFrom:"},
        Refusal{Pod("env: [{name: A, valueFrom: {fieldRef: {}}, value: x}, "
                    "{name: B, valueFrom: {fieldRef: {fieldPath: p}}}]"),
                "env[0].valueFrom: only plain values"},
        Refusal{Pod("env: [{name: A, value: 1}]"),
                "env[0].value: must be a string"},
        Refusal{Pod("env: [{name: 'A=B', value: x}]"), "env[0].name: must"},
        Refusal{Pod("args: [1]"), "args[0]: must be a string"},
        Refusal{Pod("args: [null]"), "args[0]: must be a string"},
        Refusal{Pod("args: [\"a\\0b\"]"), "args[0]: holds a NUL"},
        Refusal{Pod("tty: true"), "tty:"},
        Refusal{Pod("stdin: true"), "stdin:"},
        Refusal{Pod("lifecycle: {preStop: {}}"), "lifecycle:"},
        Refusal{Pod("securityContext: {privileged: true}"), "privileged:"},
        Refusal{Pod("ports: [{containerPort: 70000}]"),
                "ports[0].containerPort: must be a whole number"},
        Refusal{Pod("ports: [{name: a}]"), "containerPort: is missing"},
        Refusal{Pod("ports: [{containerPort: 1, protocol: ICMP}]"),
                "protocol: must be TCP"},
        Refusal{Pod("resources: {limits: {memory: 64MiB}}"), "limits.memory: "},
        Refusal{Pod("resources: {limits: {cpu: -1}}"), "limits.cpu: "},
        Refusal{Pod("resources: {limits: {cpu: 1G}}"), "million CPUs"},
        Refusal{Pod("resources: {limits: {nvidia.com/gpu: 1}}"),
                "limits.nvidia.com/gpu: only cpu and memory"},
        Refusal{Pod("readinessProbe: {exec: {command: [true]}}"),
                "readinessProbe.exec:"},
        Refusal{Pod("readinessProbe: {grpc: {port: 1}}"),
                "readinessProbe.grpc:"},
        Refusal{Pod("readinessProbe: {}"), "must have httpGet or tcpSocket"},
        Refusal{Pod("readinessProbe: {httpGet: {port: nope}}"),
                "readinessProbe.httpGet.port: must be"},
        Refusal{Pod("readinessProbe: {httpGet: {port: 80, scheme: FTP}}"),
                "scheme: must be HTTP"}));

}  // namespace
}  // namespace serai::cli
