// SPDX-License-Identifier: Apache-2.0
#pragma once

// The JSON documents of an image (image-spec: image-index.md, manifest.md,
// config.md, and Docker's image manifest version 2, schema 2, which says the
// same under other media types). They come from registries and archives and are
// hostile until parsed: size, depth, counts and every digest are checked here.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/digest.h"

namespace serai::oci {

inline constexpr char kMediaTypeIndex[] =
    "application/vnd.oci.image.index.v1+json";
inline constexpr char kMediaTypeManifest[] =
    "application/vnd.oci.image.manifest.v1+json";
inline constexpr char kMediaTypeConfig[] =
    "application/vnd.oci.image.config.v1+json";
inline constexpr char kMediaTypeLayer[] =
    "application/vnd.oci.image.layer.v1.tar";
inline constexpr char kMediaTypeLayerGzip[] =
    "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr char kMediaTypeLayerZstd[] =
    "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr char kMediaTypeDockerIndex[] =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr char kMediaTypeDockerManifest[] =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr char kMediaTypeDockerConfig[] =
    "application/vnd.docker.container.image.v1+json";
inline constexpr char kMediaTypeDockerLayerGzip[] =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr char kMediaTypeDockerLayer[] =
    "application/vnd.docker.image.rootfs.diff.tar";

// The annotation of a layout's index entry that holds its name.
inline constexpr char kAnnotationRefName[] =
    "org.opencontainers.image.ref.name";
inline constexpr char kAnnotationCreated[] = "org.opencontainers.image.created";

// No document is longer (what registries also enforce), nor nested deeper.
inline constexpr size_t kMaxDocumentBytes = 4 << 20;
inline constexpr int kMaxDocumentDepth = 32;
inline constexpr size_t kMaxLayers = 128;

bool IsIndexMediaType(absl::string_view media_type);
bool IsManifestMediaType(absl::string_view media_type);
// Layers that can be unpacked: tar, tar+gzip, tar+zstd, OCI's and Docker's.
bool IsLayerMediaType(absl::string_view media_type);

using StringMap = std::map<std::string, std::string>;

struct Platform {
  std::string architecture;  // Go's names: "amd64", "arm64"
  std::string os;
  std::string variant;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  int64_t size = 0;  // bytes, never negative
  StringMap annotations;
  std::optional<Platform> platform;
};

struct Index {
  std::string media_type = kMediaTypeIndex;
  std::vector<Descriptor> manifests;
  StringMap annotations;
};

struct Manifest {
  std::string media_type = kMediaTypeManifest;
  Descriptor config;
  std::vector<Descriptor> layers;  // the lowest first
  StringMap annotations;
};

struct ImageConfig {
  std::string architecture;
  std::string os;
  std::string created;  // RFC 3339, or empty
  std::string user;
  std::string working_dir;
  std::string stop_signal;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  StringMap labels;
  std::vector<Digest> diff_ids;  // of the uncompressed layers, lowest first
};

// Each returns INVALID_ARGUMENT with the reason for a document that is too
// long, too deep, no JSON, or not of its kind. Unknown members are ignored.
absl::StatusOr<Index> ParseIndex(absl::string_view json);
absl::StatusOr<Manifest> ParseManifest(absl::string_view json);
absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view json);

// What a document without a trustworthy media type is: kMediaTypeIndex,
// kMediaTypeManifest or Docker's, by its "mediaType" member or else its shape.
// INVALID_ARGUMENT when it is neither.
absl::StatusOr<std::string> DetectMediaType(absl::string_view json);

// Members sorted, no white space: the same value gives the same bytes.
std::string ToJson(const Index& index);
std::string ToJson(const Manifest& manifest);
std::string ToJson(const ImageConfig& config);

// The manifest for linux on this machine's architecture; the only one when the
// index has one without a platform. FAILED_PRECONDITION, listing what there is,
// when none fits.
absl::StatusOr<Descriptor> ChooseManifest(const Index& index);

// Go's name for the architecture this program was built for.
absl::string_view HostArchitecture();

}  // namespace serai::oci
