// SPDX-License-Identifier: Apache-2.0
#include "cri/containerd/find_image.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "lib/oci/manifest.h"
#include "lib/oci/reference.h"

namespace serai::cri {
namespace {

constexpr absl::string_view kIdPrefix = "sha256:";
constexpr size_t kIdDigits = 64;
constexpr size_t kShortestId = 4;

// The digits of an id or of its beginning; empty for what is none.
std::string IdDigits(absl::string_view name) {
  absl::ConsumePrefix(&name, kIdPrefix);
  const bool is_hex = absl::c_all_of(name, [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           (c >= 'a' && c <= 'f');
  });
  if (!is_hex || name.size() < kShortestId || name.size() > kIdDigits) {
    return "";
  }
  return std::string(name);
}

absl::Status NoImage(absl::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("containerd has no image \"", name, "\""));
}

absl::StatusOr<ImageName> FindById(ContainerdClient& client,
                                   const std::string& digits) {
  // Digits need no quoting.
  ASSIGN_OR_RETURN(
      const std::vector<ImageName> names,
      client.ListNames(absl::StrCat("name~=\"^", kIdPrefix, digits, "\"")));
  if (names.empty()) return NoImage(digits);
  if (names.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", digits, "\" is the beginning of several image ids"));
  }
  return names.front();
}

// containerd's CRI plugin keeps an image's id as a name of it.
absl::StatusOr<ImageName> FindName(ContainerdClient& client,
                                   absl::string_view name) {
  const std::string digits = IdDigits(name);
  if (digits.size() == kIdDigits) {
    const absl::StatusOr<ImageName> found =
        client.GetName(absl::StrCat(kIdPrefix, digits));
    return absl::IsNotFound(found.status()) ? NoImage(name) : found;
  }
  const auto reference = oci::Reference::Parse(name);
  if (reference.ok()) {
    const std::string wanted = reference->digest()
                                   ? reference->WithDigest(*reference->digest())
                                   : reference->Tagged();
    absl::StatusOr<ImageName> found = client.GetName(wanted);
    if (!absl::IsNotFound(found.status())) return found;
  }
  if (!digits.empty()) return FindById(client, digits);
  return reference.ok() ? NoImage(reference->ToString()) : reference.status();
}

absl::StatusOr<std::string> ReadManifest(ContainerdClient& client,
                                         const oci::Digest& target,
                                         oci::Manifest& manifest) {
  ASSIGN_OR_RETURN(std::string json, client.ReadBlob(target));
  ASSIGN_OR_RETURN(const std::string kind, oci::DetectMediaType(json));
  if (oci::IsIndexMediaType(kind)) {
    ASSIGN_OR_RETURN(const oci::Index index, oci::ParseIndex(json));
    ASSIGN_OR_RETURN(const oci::Descriptor chosen, oci::ChooseManifest(index));
    ASSIGN_OR_RETURN(json, client.ReadBlob(chosen.digest));
  }
  ASSIGN_OR_RETURN(manifest, oci::ParseManifest(json));
  return json;
}

absl::Status CheckConfig(const oci::Manifest& manifest,
                         const oci::ImageConfig& config) {
  const bool fits_os = config.os.empty() || config.os == "linux";
  const bool fits_machine = config.architecture.empty() ||
                            config.architecture == oci::HostArchitecture();
  if (!fits_os || !fits_machine) {
    return absl::FailedPreconditionError(
        absl::StrCat("the image is for ", config.os, "/", config.architecture,
                     ", this machine is linux/", oci::HostArchitecture()));
  }
  if (config.diff_ids.empty()) {
    return absl::InvalidArgumentError("the image has no layers");
  }
  if (config.diff_ids.size() != manifest.layers.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the manifest has ", manifest.layers.size(), " layers, the config ",
        config.diff_ids.size(), " diff ids"));
  }
  return absl::OkStatus();
}

// The same name can lead to another image by the time this is called: names
// are those of `target`, whatever they were.
absl::Status AddNames(ContainerdClient& client, const oci::Digest& target,
                      Image& image) {
  ASSIGN_OR_RETURN(const std::vector<ImageName> names,
                   client.ListNames(absl::StrCat("target.digest==\"",
                                                 target.ToString(), "\"")));
  for (const ImageName& name : names) {
    if (absl::StartsWith(name.name, kIdPrefix)) continue;
    (absl::StrContains(name.name, "@") ? image.repo_digests : image.repo_tags)
        .push_back(name.name);
  }
  absl::c_sort(image.repo_tags);
  absl::c_sort(image.repo_digests);
  return absl::OkStatus();
}

std::string ChainId(const std::vector<oci::Digest>& diff_ids) {
  oci::Digest chain = diff_ids.front();
  for (size_t i = 1; i < diff_ids.size(); ++i) {
    chain = oci::DigestOf(
        absl::StrCat(chain.ToString(), " ", diff_ids[i].ToString()));
  }
  return chain.ToString();
}

absl::Status ReadImage(ContainerdClient& client, const oci::Digest& target,
                       FoundImage& found) {
  oci::Manifest manifest;
  ASSIGN_OR_RETURN(const std::string json,
                   ReadManifest(client, target, manifest));
  ASSIGN_OR_RETURN(const std::string config,
                   client.ReadBlob(manifest.config.digest));
  Image& image = found.image;
  ASSIGN_OR_RETURN(image.config, oci::ParseImageConfig(config));
  RETURN_IF_ERROR(CheckConfig(manifest, image.config));
  image.id = manifest.config.digest.ToString();
  image.annotations = manifest.annotations;
  image.size = static_cast<int64_t>(json.size() + config.size());
  for (const oci::Descriptor& layer : manifest.layers) {
    image.size += layer.size;
  }
  found.chain_id = ChainId(image.config.diff_ids);
  return AddNames(client, target, image);
}

}  // namespace

absl::StatusOr<FoundImage> FindImage(ContainerdClient& client,
                                     absl::string_view name) {
  ASSIGN_OR_RETURN(const ImageName start, FindName(client, name));
  FoundImage found;
  absl::Status read = ReadImage(client, start.target, found);
  // The image was named; what is missing is a part of it.
  if (absl::IsNotFound(read)) {
    read = absl::FailedPreconditionError(
        absl::StrCat(read.message(), ": it is to be pulled again"));
  }
  RETURN_IF_ERROR(read, "image ", start.name);
  return found;
}

}  // namespace serai::cri
