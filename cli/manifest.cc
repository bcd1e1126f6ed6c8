// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "cli/expand.h"
#include "cli/field.h"
#include "cli/yaml.h"
#include "lib/base/quantity.h"

namespace serai::cli {
namespace {

namespace v1 = runtime::v1;

constexpr size_t kMaxHostname = 63;

// A DNS label, or with `dots` a DNS subdomain. Names become parts of paths.
bool IsDnsName(absl::string_view name, size_t longest, bool dots) {
  const auto word = [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           absl::ascii_islower(static_cast<unsigned char>(c));
  };
  return !name.empty() && name.size() <= longest && word(name.front()) &&
         word(name.back()) && !absl::StrContains(name, "..") &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return word(c) || c == '-' || (dots && c == '.');
         });
}

std::string DnsLabel(const Field& field, absl::string_view fallback = "") {
  std::string name = field.String(fallback);
  if (!IsDnsName(name, 63, false)) {
    field.Refuse(
        "must be 1 to 63 lower-case letters, digits and '-', with no '-' at "
        "either end");
  }
  return name;
}

template <typename Map>
void ReadMap(const Field& field, Map& map) {
  for (const auto& [key, value] : field.Entries()) map[key] = value.String();
}

void ReadMetadata(const Field& metadata, PodManifest& pod) {
  v1::PodSandboxMetadata& to = *pod.sandbox.mutable_metadata();
  to.set_name(metadata["name"].String());
  if (!IsDnsName(to.name(), 253, true)) {
    metadata["name"].Refuse(
        "must be 1 to 253 lower-case letters, digits, '-' and '.'");
  }
  to.set_namespace_(DnsLabel(metadata["namespace"], "default"));
  to.set_uid(metadata["uid"].String());
  if (!to.uid().empty() &&
      (to.uid().size() > kMaxHostname ||
       !std::all_of(to.uid().begin(), to.uid().end(), [](char c) {
         return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
       }))) {
    metadata["uid"].Refuse("must be letters, digits and '-'");
  }
  ReadMap(metadata["labels"], *pod.sandbox.mutable_labels());
  ReadMap(metadata["annotations"], *pod.sandbox.mutable_annotations());
  auto& labels = *pod.sandbox.mutable_labels();
  labels["io.kubernetes.pod.name"] = to.name();
  labels["io.kubernetes.pod.namespace"] = to.namespace_();
  (*pod.sandbox.mutable_annotations())[kMadeByAnnotation] = kMadeByCli;
}

void ReadDns(const Field& dns, v1::DNSConfig& to) {
  for (auto& server : dns["nameservers"].Strings()) to.add_servers(server);
  for (auto& search : dns["searches"].Strings()) to.add_searches(search);
  for (const Field& option : dns["options"].Items()) {
    const std::string value = option["value"].String();
    to.add_options(
        absl::StrCat(option["name"].String(), value.empty() ? "" : ":", value));
  }
}

void RefuseWhatAPodCannotHave(const Field& spec) {
  spec["initContainers"].RefuseIfSet(
      "a unikernel pod has exactly one container, and no init containers");
  spec["ephemeralContainers"].RefuseIfSet(
      "a unikernel pod has exactly one container");
  for (const char* name : {"hostNetwork", "hostPID", "hostIPC"}) {
    spec[name].RefuseIfSet(
        "a unikernel runs in a machine of its own and can't share the host's");
  }
  spec["shareProcessNamespace"].RefuseIfSet("a unikernel has no processes");
}

void ReadPodSpec(const Field& spec, PodManifest& pod) {
  RefuseWhatAPodCannotHave(spec);
  pod.runtime_handler = spec["runtimeClassName"].String("unikernel");
  const std::string& name = pod.sandbox.metadata().name();
  std::string hostname = name.substr(0, kMaxHostname);
  while (!hostname.empty() &&
         !absl::ascii_isalnum(static_cast<unsigned char>(hostname.back()))) {
    hostname.pop_back();
  }
  pod.sandbox.set_hostname(spec["hostname"].present()
                               ? DnsLabel(spec["hostname"])
                               : std::move(hostname));
  if (spec["dnsConfig"].present()) {
    ReadDns(spec["dnsConfig"], *pod.sandbox.mutable_dns_config());
  }
  v1::LinuxSandboxSecurityContext& security =
      *pod.sandbox.mutable_linux()->mutable_security_context();
  security.mutable_namespace_options()->set_pid(v1::CONTAINER);
  for (const Field& sysctl : spec["securityContext"]["sysctls"].Items()) {
    (*pod.sandbox.mutable_linux()->mutable_sysctls())[sysctl["name"].String()] =
        sysctl["value"].String();
  }
  const int64_t grace = spec["terminationGracePeriodSeconds"].Int(
      kDefaultGraceSeconds, 0, std::numeric_limits<int32_t>::max());
  (*pod.container.mutable_annotations())[kGracePeriodAnnotation] =
      absl::StrCat(grace);
}

v1::Protocol ReadProtocol(const Field& field) {
  const std::string name = field.String("TCP");
  v1::Protocol protocol = v1::TCP;
  if (!v1::Protocol_Parse(name, &protocol)) {
    field.Refuse("must be TCP, UDP or SCTP");
  }
  return protocol;
}

// Adds to the sandbox's mappings; returns the container's ports by name.
std::map<std::string, int> ReadPorts(const Field& ports,
                                     v1::PodSandboxConfig& sandbox) {
  std::map<std::string, int> named;
  for (const Field& port : ports.Items()) {
    v1::PortMapping& mapping = *sandbox.add_port_mappings();
    mapping.set_protocol(ReadProtocol(port["protocol"]));
    mapping.set_container_port(
        static_cast<int32_t>(port["containerPort"].Int(0, 1, 65535)));
    if (mapping.container_port() == 0) {
      port["containerPort"].Refuse("is missing");
    }
    mapping.set_host_port(
        static_cast<int32_t>(port["hostPort"].Int(0, 0, 65535)));
    mapping.set_host_ip(port["hostIP"].String());
    const std::string name = port["name"].String();
    if (!name.empty()) named[name] = mapping.container_port();
  }
  return named;
}

// The CRI's numbers for limits and requests, as kubelet computes them.
v1::LinuxContainerResources ReadResources(const Field& resources) {
  constexpr int64_t kPeriodMicros = 100'000;
  v1::LinuxContainerResources to;
  const auto quantity = [](const Field& field, auto parse) {
    return field.present() ? field.Take(parse(field.Quantity()), int64_t{0})
                           : int64_t{0};
  };
  const Field limits = resources["limits"];
  for (const auto& [name, limit] : limits.Entries()) {
    if (name != "cpu" && name != "memory" && name != "ephemeral-storage") {
      limit.Refuse("only cpu and memory can be limited");
    }
  }
  to.set_memory_limit_in_bytes(quantity(limits["memory"], ParseQuantity));
  const int64_t cpu = quantity(limits["cpu"], ParseMilliQuantity);
  const Field requests = resources["requests"];
  const int64_t request = requests["cpu"].present()
                              ? quantity(requests["cpu"], ParseMilliQuantity)
                              : cpu;
  constexpr int64_t kMostMilliCpus = 1'000'000'000;
  if (cpu > kMostMilliCpus || request > kMostMilliCpus) {
    resources.Refuse("asks for more than a million CPUs");
    return to;
  }
  if (cpu > 0) {
    to.set_cpu_period(kPeriodMicros);
    to.set_cpu_quota(std::max<int64_t>(1000, cpu * kPeriodMicros / 1000));
  }
  to.set_cpu_shares(std::clamp<int64_t>(request * 1024 / 1000, 2, 262'144));
  return to;
}

void ReadEnvironment(const Field& container, PodManifest& pod) {
  container["envFrom"].RefuseIfSet(
      "there is no API server to read a ConfigMap or a Secret from");
  std::map<std::string, std::string> variables;
  for (const Field& item : container["env"].Items()) {
    const std::string name = item["name"].String();
    if (name.empty() || absl::StrContains(name, "=")) {
      item["name"].Refuse("must be a name without '='");
    }
    item["valueFrom"].RefuseIfSet(
        "only plain values can be given without an API server");
    variables[name] = Expand(item["value"].String(), variables);
    v1::KeyValue& env = *pod.container.add_envs();
    env.set_key(name);
    env.set_value(variables[name]);
  }
  for (const auto& word : container["command"].Strings()) {
    pod.container.add_command(Expand(word, variables));
  }
  for (const auto& word : container["args"].Strings()) {
    pod.container.add_args(Expand(word, variables));
  }
}

std::string AbsolutePath(const Field& field) {
  std::string path = field.String();
  if (!absl::StartsWith(path, "/")) field.Refuse("must be an absolute path");
  return path;
}

std::string HostPathOf(const Field& volume) {
  for (const char* kind : {"configMap", "secret", "projected", "downwardAPI"}) {
    volume[kind].RefuseIfSet(
        "there is no API server to have its files from; a hostPath can name a "
        "tar of them");
  }
  if (!volume["hostPath"].present()) {
    volume.Refuse(
        "only hostPath and emptyDir volumes can be had without a cluster, and "
        "the container uses this one");
    return "";
  }
  const Field type = volume["hostPath"]["type"];
  if (absl::EndsWith(type.String(), "OrCreate")) {
    type.Refuse("what the path names must be there already");
  }
  return AbsolutePath(volume["hostPath"]["path"]);
}

void ReadVolumes(const Field& spec, const Field& container, PodManifest& pod) {
  std::map<std::string, Field> volumes;
  for (const Field& volume : spec["volumes"].Items()) {
    volumes.emplace(volume["name"].String(), volume);
  }
  const auto find = [&](const Field& name) -> const Field* {
    const auto it = volumes.find(name.String());
    if (it != volumes.end()) return &it->second;
    name.Refuse("names no volume of spec.volumes");
    return nullptr;
  };
  for (const Field& mount : container["volumeMounts"].Items()) {
    mount["subPath"].RefuseIfSet("give the whole path in the volume instead");
    mount["subPathExpr"].RefuseIfSet(
        "give the whole path in the volume instead");
    v1::Mount& to = *pod.container.add_mounts();
    const Field* const volume = find(mount["name"]);
    if (volume != nullptr && (*volume)["emptyDir"].present()) {
      (*volume)["emptyDir"]["medium"].RefuseIfSet(
          "only kubelet mounts a file system in memory");
      (*volume)["emptyDir"]["sizeLimit"].RefuseIfSet(
          "nobody watches it; annotation serai.dev/size.DEVICE sizes the disk");
      pod.empty_dirs[pod.container.mounts_size() - 1] =
          DnsLabel((*volume)["name"]);
    } else if (volume != nullptr) {
      to.set_host_path(HostPathOf(*volume));
    }
    to.set_container_path(AbsolutePath(mount["mountPath"]));
    to.set_readonly(mount["readOnly"].Bool(false));
  }
  for (const Field& device : container["volumeDevices"].Items()) {
    v1::Device& to = *pod.container.add_devices();
    const Field* const volume = find(device["name"]);
    if (volume != nullptr) to.set_host_path(HostPathOf(*volume));
    to.set_container_path(AbsolutePath(device["devicePath"]));
    to.set_permissions("mrw");
  }
}

int ReadProbePort(const Field& port, const std::map<std::string, int>& named) {
  // A string is a port's name; everything else must be a number.
  const std::string text = port.Quantity();
  const auto it = named.find(text);
  if (it != named.end()) return it->second;
  const int number = static_cast<int>(port.Int(0, 1, 65535));
  if (number == 0) port.Refuse("must be a port number or the name of a port");
  return number;
}

ReadinessProbe ReadProbe(const Field& field,
                         const std::map<std::string, int>& named) {
  ReadinessProbe probe;
  field["exec"].RefuseIfSet("a unikernel has no programs to execute");
  field["grpc"].RefuseIfSet("only httpGet and tcpSocket can be probed");
  probe.http = field["httpGet"].present();
  if (!probe.http && !field["tcpSocket"].present()) {
    field.Refuse("must have httpGet or tcpSocket");
  }
  const Field target = field[probe.http ? "httpGet" : "tcpSocket"];
  probe.port = ReadProbePort(target["port"], named);
  probe.host = target["host"].String();
  if (probe.http) {
    probe.path = target["path"].String("/");
    if (!absl::StartsWith(probe.path, "/")) probe.path.insert(0, "/");
    probe.scheme = absl::AsciiStrToLower(target["scheme"].String("http"));
    if (probe.scheme != "http" && probe.scheme != "https") {
      target["scheme"].Refuse("must be HTTP or HTTPS");
    }
    for (const Field& header : target["httpHeaders"].Items()) {
      probe.headers.emplace_back(header["name"].String(),
                                 header["value"].String());
    }
  }
  const auto seconds = [&field](const char* name, int64_t fallback,
                                int64_t least) {
    return absl::Seconds(field[name].Int(fallback, least, 86'400));
  };
  probe.initial_delay = seconds("initialDelaySeconds", 0, 0);
  probe.period = seconds("periodSeconds", 10, 1);
  probe.timeout = seconds("timeoutSeconds", 1, 1);
  return probe;
}

void ReadPullPolicy(const Field& field, PodManifest& pod) {
  const std::string policy = field.String("IfNotPresent");
  if (policy == "Always") {
    pod.pull_policy = PullPolicy::kAlways;
  } else if (policy == "Never") {
    pod.pull_policy = PullPolicy::kNever;
  } else if (policy != "IfNotPresent") {
    field.Refuse("must be Always, IfNotPresent or Never");
  }
}

void ReadContainer(const Field& spec, const Field& container,
                   PodManifest& pod) {
  v1::ContainerConfig& to = pod.container;
  const std::string name = DnsLabel(container["name"]);
  to.mutable_metadata()->set_name(name);
  to.set_log_path(absl::StrCat(name, "/0.log"));
  to.mutable_image()->set_image(container["image"].String());
  if (to.image().image().empty()) container["image"].Refuse("is missing");
  to.mutable_image()->set_user_specified_image(to.image().image());
  ReadPullPolicy(container["imagePullPolicy"], pod);
  ReadEnvironment(container, pod);
  to.set_working_dir(container["workingDir"].String());
  const auto named = ReadPorts(container["ports"], pod.sandbox);
  *to.mutable_linux()->mutable_resources() =
      ReadResources(container["resources"]);
  *pod.sandbox.mutable_linux()->mutable_resources() = to.linux().resources();
  ReadVolumes(spec, container, pod);
  for (const char* field : {"stdin", "tty"}) {
    container[field].RefuseIfSet("a unikernel's console takes no input");
  }
  container["lifecycle"].RefuseIfSet("hooks are not run without a cluster");
  container["securityContext"]["privileged"].RefuseIfSet(
      "a unikernel can't be privileged");
  for (const char* field : {"livenessProbe", "startupProbe"}) {
    if (container[field].present()) {
      pod.notes.push_back(absl::StrCat(
          container[field].path(),
          " is ignored: nothing watches a pod that has no kubelet"));
    }
  }
  const Field readiness = container["readinessProbe"];
  if (readiness.present()) pod.readiness = ReadProbe(readiness, named);
  auto& labels = *to.mutable_labels();
  labels["io.kubernetes.container.name"] = name;
  labels["io.kubernetes.pod.name"] = pod.sandbox.metadata().name();
  labels["io.kubernetes.pod.namespace"] = pod.sandbox.metadata().namespace_();
  auto& annotations = *to.mutable_annotations();
  annotations["io.kubernetes.container.restartCount"] = "0";
}

}  // namespace

absl::StatusOr<PodManifest> ParsePodManifest(absl::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json document, ParseYaml(text));
  absl::Status error;
  PodManifest pod;
  const Field root(document, &error);
  if (root["apiVersion"].String() != "v1" || root["kind"].String() != "Pod") {
    root.Refuse("must be of apiVersion v1 and kind Pod");
  }
  ReadMetadata(root["metadata"], pod);
  const Field spec = root["spec"];
  ReadPodSpec(spec, pod);
  const std::vector<Field> containers = spec["containers"].Items();
  if (containers.size() == 1) {
    ReadContainer(spec, containers.front(), pod);
  } else {
    spec["containers"].Refuse(
        absl::StrCat("a unikernel pod has exactly one container (found ",
                     containers.size(), ")"));
  }
  RETURN_IF_ERROR(error);
  SetUid(pod, pod.sandbox.metadata().uid());
  return pod;
}

void SetUid(PodManifest& manifest, const std::string& uid) {
  manifest.sandbox.mutable_metadata()->set_uid(uid);
  (*manifest.sandbox.mutable_labels())[kPodUidLabel] = uid;
  (*manifest.container.mutable_labels())[kPodUidLabel] = uid;
}

}  // namespace serai::cli
