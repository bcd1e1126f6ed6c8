// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/manifest.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"

namespace serai::oci {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxStrings = 4096;  // entries of a list or map of strings

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

absl::StatusOr<Json> ParseBounded(absl::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    return Bad(absl::StrCat("longer than ", kMaxDocumentBytes, " bytes"));
  }
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDocumentDepth;
    return !too_deep;
  };
  Json json = Json::parse(text.begin(), text.end(), watch_depth,
                          /*allow_exceptions=*/false);
  if (too_deep) {
    return Bad(absl::StrCat("nested deeper than ", kMaxDocumentDepth));
  }
  if (json.is_discarded()) return Bad("not valid JSON");
  if (!json.is_object()) return Bad("not a JSON object");
  return json;
}

// The member, or null where it is missing.
const Json& Member(const Json& object, const char* name) {
  static const Json& null = *new Json();
  const auto it = object.find(name);
  return it == object.end() ? null : *it;
}

// Each reader below takes a missing or null member for an empty value, as Go's
// decoder does, which wrote most of these documents.

absl::Status ReadString(const Json& object, const char* name,
                        std::string& out) {
  const Json& value = Member(object, name);
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_string()) return Bad(absl::StrCat(name, ": not a string"));
  out = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadStrings(const Json& object, const char* name,
                         std::vector<std::string>& out) {
  const Json& value = Member(object, name);
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_array() || value.size() > kMaxStrings) {
    return Bad(absl::StrCat(name, ": not a list of at most ", kMaxStrings));
  }
  for (const Json& item : value) {
    if (!item.is_string()) return Bad(absl::StrCat(name, ": not strings"));
    out.push_back(item.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadMap(const Json& object, const char* name, StringMap& out) {
  const Json& value = Member(object, name);
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_object() || value.size() > kMaxStrings) {
    return Bad(absl::StrCat(name, ": not a map of at most ", kMaxStrings));
  }
  for (const auto& [key, item] : value.items()) {
    if (!item.is_string()) {
      return Bad(absl::StrCat(name, ".", key, ": not a string"));
    }
    out[key] = item.get<std::string>();
  }
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> ReadDescriptor(const Json& json) {
  if (!json.is_object()) return Bad("not an object");
  Descriptor result;
  RETURN_IF_ERROR(ReadString(json, "mediaType", result.media_type));
  std::string digest;
  RETURN_IF_ERROR(ReadString(json, "digest", digest));
  ASSIGN_OR_RETURN(result.digest, Digest::Parse(digest));
  const Json& size = Member(json, "size");
  if (!size.is_number_integer() || size.get<int64_t>() < 0) {
    return Bad("size: not a length in bytes");
  }
  result.size = size.get<int64_t>();
  RETURN_IF_ERROR(ReadMap(json, "annotations", result.annotations));
  const Json& platform = Member(json, "platform");
  if (platform.is_object()) {
    Platform& p = result.platform.emplace();
    RETURN_IF_ERROR(ReadString(platform, "architecture", p.architecture));
    RETURN_IF_ERROR(ReadString(platform, "os", p.os));
    RETURN_IF_ERROR(ReadString(platform, "variant", p.variant));
  }
  return result;
}

absl::StatusOr<std::vector<Descriptor>> ReadDescriptors(const Json& object,
                                                        const char* name) {
  const Json& list = Member(object, name);
  if (!list.is_array()) return Bad(absl::StrCat(name, ": not a list"));
  std::vector<Descriptor> result;
  for (const Json& item : list) {
    ASSIGN_OR_RETURN(Descriptor descriptor, ReadDescriptor(item), name, "[",
                     result.size(), "]");
    result.push_back(std::move(descriptor));
  }
  return result;
}

// A document that says it is something else than what it is used as is an
// attack on whoever trusts the one or the other.
absl::Status CheckKind(const Json& json, bool (*is_kind)(absl::string_view),
                       const char* other_list, std::string& media_type) {
  std::string stated;
  RETURN_IF_ERROR(ReadString(json, "mediaType", stated));
  if (!stated.empty() && !is_kind(stated)) {
    return Bad(absl::StrCat("mediaType is \"", stated, "\""));
  }
  if (json.contains(other_list)) {
    return Bad(absl::StrCat("has a member \"", other_list, "\""));
  }
  const Json& version = Member(json, "schemaVersion");
  if (!version.is_number_integer() || version.get<int64_t>() != 2) {
    return Bad("schemaVersion is not 2");
  }
  if (!stated.empty()) media_type = stated;
  return absl::OkStatus();
}

Json DescriptorJson(const Descriptor& descriptor) {
  Json json = {{"mediaType", descriptor.media_type},
               {"digest", descriptor.digest.ToString()},
               {"size", descriptor.size}};
  if (!descriptor.annotations.empty()) {
    json["annotations"] = descriptor.annotations;
  }
  if (descriptor.platform) {
    json["platform"] = {{"architecture", descriptor.platform->architecture},
                        {"os", descriptor.platform->os}};
    if (!descriptor.platform->variant.empty()) {
      json["platform"]["variant"] = descriptor.platform->variant;
    }
  }
  return json;
}

Json DescriptorsJson(const std::vector<Descriptor>& descriptors) {
  Json list = Json::array();
  for (const Descriptor& descriptor : descriptors) {
    list.push_back(DescriptorJson(descriptor));
  }
  return list;
}

// What is dumped here is built by us from flat values; strings that are not
// UTF-8 (a label, say) must not throw.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool IsOneOf(absl::string_view text,
             std::initializer_list<absl::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string PlatformName(const Descriptor& descriptor) {
  if (!descriptor.platform) return "unknown";
  const Platform& p = *descriptor.platform;
  return absl::StrCat(p.os, "/", p.architecture, p.variant.empty() ? "" : "/",
                      p.variant);
}

}  // namespace

bool IsIndexMediaType(absl::string_view media_type) {
  return IsOneOf(media_type, {kMediaTypeIndex, kMediaTypeDockerIndex});
}

bool IsManifestMediaType(absl::string_view media_type) {
  return IsOneOf(media_type, {kMediaTypeManifest, kMediaTypeDockerManifest});
}

bool IsLayerMediaType(absl::string_view media_type) {
  return IsOneOf(media_type,
                 {kMediaTypeLayer, kMediaTypeLayerGzip, kMediaTypeLayerZstd,
                  kMediaTypeDockerLayer, kMediaTypeDockerLayerGzip});
}

absl::StatusOr<Index> ParseIndex(absl::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text), "image index");
  Index index;
  RETURN_IF_ERROR(CheckKind(json, IsIndexMediaType, "layers", index.media_type),
                  "image index");
  ASSIGN_OR_RETURN(index.manifests, ReadDescriptors(json, "manifests"),
                   "image index");
  RETURN_IF_ERROR(ReadMap(json, "annotations", index.annotations),
                  "image index");
  return index;
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text), "image manifest");
  Manifest manifest;
  RETURN_IF_ERROR(
      CheckKind(json, IsManifestMediaType, "manifests", manifest.media_type),
      "image manifest");
  ASSIGN_OR_RETURN(manifest.config, ReadDescriptor(Member(json, "config")),
                   "image manifest: config");
  ASSIGN_OR_RETURN(manifest.layers, ReadDescriptors(json, "layers"),
                   "image manifest");
  if (manifest.layers.size() > kMaxLayers) {
    return Bad(
        absl::StrCat("image manifest: more than ", kMaxLayers, " layers"));
  }
  RETURN_IF_ERROR(ReadMap(json, "annotations", manifest.annotations),
                  "image manifest");
  return manifest;
}

namespace {

absl::Status ReadRunPart(const Json& json, ImageConfig& out) {
  if (json.is_null()) return absl::OkStatus();
  if (!json.is_object()) return Bad("not an object");
  RETURN_IF_ERROR(ReadString(json, "User", out.user));
  RETURN_IF_ERROR(ReadString(json, "WorkingDir", out.working_dir));
  RETURN_IF_ERROR(ReadString(json, "StopSignal", out.stop_signal));
  RETURN_IF_ERROR(ReadStrings(json, "Env", out.env));
  RETURN_IF_ERROR(ReadStrings(json, "Entrypoint", out.entrypoint));
  RETURN_IF_ERROR(ReadStrings(json, "Cmd", out.cmd));
  return ReadMap(json, "Labels", out.labels);
}

absl::Status ReadDiffIds(const Json& rootfs, std::vector<Digest>& out) {
  if (!rootfs.is_object()) return Bad("not an object");
  std::vector<std::string> texts;
  RETURN_IF_ERROR(ReadStrings(rootfs, "diff_ids", texts));
  if (texts.size() > kMaxLayers) {
    return Bad(absl::StrCat("more than ", kMaxLayers, " layers"));
  }
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(Digest digest, Digest::Parse(text), "diff_ids");
    out.push_back(std::move(digest));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text), "image config");
  ImageConfig config;
  RETURN_IF_ERROR(ReadString(json, "architecture", config.architecture),
                  "image config");
  RETURN_IF_ERROR(ReadString(json, "os", config.os), "image config");
  RETURN_IF_ERROR(ReadString(json, "created", config.created), "image config");
  RETURN_IF_ERROR(ReadRunPart(Member(json, "config"), config),
                  "image config: config");
  RETURN_IF_ERROR(ReadDiffIds(Member(json, "rootfs"), config.diff_ids),
                  "image config: rootfs");
  return config;
}

absl::StatusOr<std::string> DetectMediaType(absl::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text), "image manifest");
  std::string stated;
  RETURN_IF_ERROR(ReadString(json, "mediaType", stated), "image manifest");
  if (IsIndexMediaType(stated) || IsManifestMediaType(stated)) return stated;
  if (stated.empty() && Member(json, "manifests").is_array()) {
    return kMediaTypeIndex;
  }
  if (stated.empty() && Member(json, "layers").is_array()) {
    return kMediaTypeManifest;
  }
  return Bad(absl::StrCat("neither an image manifest nor an index",
                          stated.empty() ? "" : ": mediaType is ", stated));
}

std::string ToJson(const Index& index) {
  Json json = {{"schemaVersion", 2},
               {"mediaType", index.media_type},
               {"manifests", DescriptorsJson(index.manifests)}};
  if (!index.annotations.empty()) json["annotations"] = index.annotations;
  return Dump(json);
}

std::string ToJson(const Manifest& manifest) {
  Json json = {{"schemaVersion", 2},
               {"mediaType", manifest.media_type},
               {"config", DescriptorJson(manifest.config)},
               {"layers", DescriptorsJson(manifest.layers)}};
  if (!manifest.annotations.empty()) {
    json["annotations"] = manifest.annotations;
  }
  return Dump(json);
}

std::string ToJson(const ImageConfig& config) {
  Json run = Json::object();
  if (!config.user.empty()) run["User"] = config.user;
  if (!config.working_dir.empty()) run["WorkingDir"] = config.working_dir;
  if (!config.stop_signal.empty()) run["StopSignal"] = config.stop_signal;
  if (!config.env.empty()) run["Env"] = config.env;
  if (!config.entrypoint.empty()) run["Entrypoint"] = config.entrypoint;
  if (!config.cmd.empty()) run["Cmd"] = config.cmd;
  if (!config.labels.empty()) run["Labels"] = config.labels;
  Json diff_ids = Json::array();
  for (const Digest& digest : config.diff_ids) {
    diff_ids.push_back(digest.ToString());
  }
  Json json = {{"architecture", config.architecture},
               {"os", config.os},
               {"config", std::move(run)},
               {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
  if (!config.created.empty()) json["created"] = config.created;
  return Dump(json);
}

absl::string_view HostArchitecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
#error "which architecture is this in Go's words?"
#endif
}

absl::StatusOr<Descriptor> ChooseManifest(const Index& index) {
  std::vector<std::string> offered;
  const Descriptor* unnamed = nullptr;
  for (const Descriptor& descriptor : index.manifests) {
    if (!IsManifestMediaType(descriptor.media_type)) continue;
    if (descriptor.platform && descriptor.platform->os == "linux" &&
        descriptor.platform->architecture == HostArchitecture()) {
      return descriptor;
    }
    if (!descriptor.platform) unnamed = &descriptor;
    offered.push_back(PlatformName(descriptor));
  }
  if (unnamed != nullptr && offered.size() == 1) return *unnamed;
  return absl::FailedPreconditionError(absl::StrCat(
      "no image for linux/", HostArchitecture(), "; there is ",
      offered.empty() ? "none at all" : absl::StrJoin(offered, ", ")));
}

}  // namespace serai::oci
