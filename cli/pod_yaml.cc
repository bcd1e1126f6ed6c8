// SPDX-License-Identifier: Apache-2.0
#include "cli/pod_yaml.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace serai::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kMib = 1 << 20;
constexpr uint64_t kUsualMemory = 64 * kMib;
constexpr size_t kLongestName = 40;

std::string Text(const json& object, const std::string& key) {
  if (!object.is_object()) return "";
  const auto value = object.find(key);
  return value != object.end() && value->is_string() ? value->get<std::string>()
                                                     : "";
}

// A JSON string is one of YAML's.
std::string Quoted(const std::string& text) {
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
}

// A DNS label that is made of `text`.
std::string Label(absl::string_view text, const std::string& fallback) {
  std::string label;
  for (const char c : text) {
    const bool word = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (word) label += absl::ascii_tolower(static_cast<unsigned char>(c));
    if (!word && !label.empty() && label.back() != '-') label += '-';
    if (label.size() == kLongestName) break;
  }
  while (!label.empty() && label.back() == '-') label.pop_back();
  return label.empty() ? fallback : label;
}

// "web" of "registry.example/team/web:1@sha256:…".
std::string NameOf(absl::string_view reference) {
  reference = reference.substr(0, reference.find('@'));
  const size_t slash = reference.rfind('/');
  if (slash != absl::string_view::npos) reference.remove_prefix(slash + 1);
  return Label(reference.substr(0, reference.find(':')), "unikernel");
}

// What the image says of a device: its annotations go before its labels.
std::string Word(const json& image, const std::string& key) {
  const json about = image.value("image", json::object());
  const std::string word =
      Text(about.value("annotations", json::object()), key);
  return word.empty() ? Text(about.value("labels", json::object()), key) : word;
}

struct Manifest {
  std::string annotations;  // of the pod
  std::string comments;     // in the container
  std::string mounts;
  std::string devices;
  std::string volumes;
  std::set<std::string> names;
};

// Unlike all others: two devices may differ in what a label can't say.
std::string VolumeName(const std::string& device, Manifest& manifest) {
  const std::string name = Label(device, "volume");
  std::string free = name;
  for (int i = 2; !manifest.names.insert(free).second; ++i) {
    free = absl::StrCat(name, "-", i);
  }
  return free;
}

// The volume's source, and for a size the annotation; true when it is a device
// rather than a mount.
bool AddVolume(const std::string& device, const std::string& name,
               const std::string& hint, Manifest& manifest) {
  // Bare, "123" and "true" are no strings.
  const std::string quoted = Quoted(name);
  const std::vector<std::string> words =
      absl::StrSplit(hint, ' ', absl::SkipEmpty());
  const std::string kind = words.empty() ? "" : absl::AsciiStrToLower(words[0]);
  absl::StrAppend(&manifest.volumes, "  - name: ", quoted, "\n");
  const bool block = kind == "block";
  if (kind == "configmap") {
    absl::StrAppend(&manifest.volumes, "    configMap: {name: ", quoted, "}\n");
  } else if (kind == "secret") {
    absl::StrAppend(&manifest.volumes, "    secret: {secretName: ", quoted,
                    "}\n");
  } else if (block || kind == "pvc" || kind == "persistentvolumeclaim") {
    absl::StrAppend(&manifest.volumes,
                    "    persistentVolumeClaim: {claimName: ", quoted, "}\n");
  } else {
    if (!hint.empty() && kind != "emptydir") {
      absl::StrAppend(&manifest.volumes,
                      "    # the image wants: ", Quoted(hint), "\n");
    }
    absl::StrAppend(&manifest.volumes, "    emptyDir: {}\n");
    const std::string size =
        words.size() > 1 && kind == "emptydir" ? words[1] : "1Gi";
    absl::StrAppend(&manifest.annotations, "    serai.dev/size.", device, ": ",
                    Quoted(size), "\n");
  }
  return block;
}

void AddBlock(const json& image, const std::string& device,
              Manifest& manifest) {
  const std::string file =
      Word(image, absl::StrCat("dev.serai.block.", device));
  if (!file.empty()) {
    absl::StrAppend(&manifest.comments, "    # block device ", device,
                    ": the image's file ", Quoted(file), "\n");
    return;
  }
  const std::string name = VolumeName(device, manifest);
  const std::string hint =
      Word(image, absl::StrCat("dev.serai.volume.", device));
  if (AddVolume(device, name, hint, manifest)) {
    absl::StrAppend(&manifest.devices, "    - {name: ", Quoted(name),
                    ", devicePath: /dev/", device, "}\n");
  } else {
    absl::StrAppend(&manifest.mounts, "    - {name: ", Quoted(name),
                    ", mountPath: /mnt/", device, "}\n");
  }
}

// A device's name as the manifest of a unikernel may have it.
bool IsDeviceName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c));
  });
}

void AddDevices(const json& image, const json& unikernel, Manifest& manifest) {
  for (const json& device : unikernel.value("devices", json::array())) {
    const std::string name = Text(device, "name");
    if (!IsDeviceName(name)) continue;
    if (absl::StrContains(Text(device, "type"), "BLOCK")) {
      AddBlock(image, name, manifest);
    } else {
      absl::StrAppend(&manifest.comments, "    # network device ", name,
                      ": the pod's interface\n");
    }
  }
}

uint64_t MemoryMib(const json& unikernel) {
  const auto floor = unikernel.find("memory_floor_bytes");
  if (floor == unikernel.end() || !floor->is_number_unsigned()) {
    return kUsualMemory / kMib;
  }
  const uint64_t least =
      std::min<uint64_t>(floor->get<uint64_t>(), 4096 * kMib);
  return std::max(kUsualMemory, 2 * least) / kMib;
}

}  // namespace

std::string PodYaml(const json& image, const std::string& name) {
  // Those of several targets are one program's, and want the same.
  const json unikernels = image.value("unikernels", json::array());
  const json unikernel =
      unikernels.is_array() && !unikernels.empty() && unikernels[0].is_object()
          ? unikernels[0]
          : json::object();
  Manifest manifest;
  AddDevices(image, unikernel, manifest);
  const std::string called = Quoted(NameOf(name));
  const auto section = [](const char* title, const std::string& entries) {
    return entries.empty() ? "" : absl::StrCat(title, "\n", entries);
  };
  return absl::StrCat(
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: ", called, "\n",
      section("  annotations:", manifest.annotations),
      "spec:\n  runtimeClassName: unikernel\n  containers:\n  - name: ", called,
      "\n    image: ", Quoted(name),
      "\n    resources: {limits: {memory: ", MemoryMib(unikernel), "Mi}}\n",
      manifest.comments, section("    volumeMounts:", manifest.mounts),
      section("    volumeDevices:", manifest.devices),
      section("  volumes:", manifest.volumes));
}

}  // namespace serai::cli
