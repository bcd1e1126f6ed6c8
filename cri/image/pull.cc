// SPDX-License-Identifier: Apache-2.0
#include "cri/image/pull.h"

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/time/time.h"

namespace serai::cri {
namespace {

// How soon a pull that waits for another sees that it is cancelled.
constexpr absl::Duration kCancelPoll = absl::Milliseconds(100);

bool IsImageConfig(const std::string& media_type) {
  return media_type == oci::kMediaTypeConfig ||
         media_type == oci::kMediaTypeDockerConfig;
}

}  // namespace

bool IsRegistryUnavailable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::StatusOr<Image> Puller::Pull(const oci::Reference& reference,
                                   const oci::Credentials& credentials,
                                   oci::Cancelled cancelled) {
  const std::string what = absl::StrCat("pulling ", reference.ToString());
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::RegistryClient> client,
                   oci::RegistryClient::Create(
                       reference, credentials, options_.registry,
                       oci::RegistryClient::Access::kPull, cancelled),
                   what);
  ASSIGN_OR_RETURN(Image image, Transfer(reference, *client, cancelled), what);
  return image;
}

absl::StatusOr<Image> Puller::Transfer(const oci::Reference& reference,
                                       oci::RegistryClient& client,
                                       const oci::Cancelled& cancelled) {
  // When the last lease ends, blobs that no image needs are collected: that is
  // how a failed pull leaves nothing.
  const ImageStore::Lease lease = store_.AcquireLease();
  ASSIGN_OR_RETURN(
      const oci::FetchedManifest top,
      client.GetManifest(reference.tag(),
                         reference.digest().value_or(oci::Digest())));
  ASSIGN_OR_RETURN(const oci::FetchedManifest fetched,
                   ManifestForThisMachine(top, client));
  ASSIGN_OR_RETURN(const oci::Manifest manifest,
                   oci::ParseManifest(fetched.content));
  RETURN_IF_ERROR(CheckManifest(manifest));

  // The config decides whether the layers are worth their bytes.
  RETURN_IF_ERROR(FetchBlob(manifest.config, client, cancelled));
  RETURN_IF_ERROR(CheckConfig(manifest));
  for (const oci::Descriptor& layer : manifest.layers) {
    RETURN_IF_ERROR(FetchBlob(layer, client, cancelled));
  }
  ASSIGN_OR_RETURN(
      const oci::Descriptor stored,
      store_.layout().WriteBlob(fetched.media_type, fetched.content));
  return store_.Put(reference, stored, top.digest);
}

absl::StatusOr<oci::FetchedManifest> Puller::ManifestForThisMachine(
    const oci::FetchedManifest& top, oci::RegistryClient& client) const {
  if (!oci::IsIndexMediaType(top.media_type)) return top;
  ASSIGN_OR_RETURN(const oci::Index index, oci::ParseIndex(top.content));
  ASSIGN_OR_RETURN(const oci::Descriptor chosen, oci::ChooseManifest(index));
  ASSIGN_OR_RETURN(oci::FetchedManifest manifest,
                   client.GetManifest("", chosen.digest));
  if (!oci::IsManifestMediaType(manifest.media_type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image index names ", chosen.digest.ToString(),
                     ", which is no image manifest"));
  }
  return manifest;
}

absl::Status Puller::CheckManifest(const oci::Manifest& manifest) const {
  if (!IsImageConfig(manifest.config.media_type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a container image: its config is of type \"",
                     manifest.config.media_type, "\""));
  }
  if (manifest.config.size > static_cast<int64_t>(oci::kMaxDocumentBytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the image's config has ", manifest.config.size, " bytes"));
  }
  int64_t room = options_.max_image_bytes - manifest.config.size;
  for (const oci::Descriptor& layer : manifest.layers) {
    if (!oci::IsLayerMediaType(layer.media_type)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a layer of type \"", layer.media_type, "\" can't be unpacked"));
    }
    if (layer.size > room) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the image is larger than the ",
                       options_.max_image_bytes, " bytes allowed"));
    }
    room -= layer.size;
  }
  return absl::OkStatus();
}

absl::Status Puller::CheckConfig(const oci::Manifest& manifest) const {
  ASSIGN_OR_RETURN(const std::string json,
                   store_.layout().ReadBlob(manifest.config.digest));
  ASSIGN_OR_RETURN(const oci::ImageConfig config, oci::ParseImageConfig(json));
  const bool fits_os = config.os.empty() || config.os == "linux";
  const bool fits_machine = config.architecture.empty() ||
                            config.architecture == oci::HostArchitecture();
  if (!fits_os || !fits_machine) {
    return absl::FailedPreconditionError(
        absl::StrCat("the image is for ", config.os, "/", config.architecture,
                     ", this machine is linux/", oci::HostArchitecture()));
  }
  if (config.diff_ids.size() != manifest.layers.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the manifest has ", manifest.layers.size(), " layers, the config ",
        config.diff_ids.size(), " diff ids"));
  }
  return absl::OkStatus();
}

absl::Status Puller::FetchBlob(const oci::Descriptor& blob,
                               oci::RegistryClient& client,
                               const oci::Cancelled& cancelled) {
  RETURN_IF_ERROR(BeginFetch(blob.digest, cancelled));
  const absl::Cleanup end = [&] { EndFetch(blob.digest); };
  const oci::Layout& layout = store_.layout();
  if (layout.HasBlob(blob.digest)) {
    ASSIGN_OR_RETURN(const int64_t size, layout.BlobSize(blob.digest));
    if (size == blob.size) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat("the manifest gives ", blob.digest.ToString(), " ",
                     blob.size, " bytes, it has ", size));
  }
  ASSIGN_OR_RETURN(oci::BlobWriter writer,
                   layout.StartBlob(blob.digest, blob.size));
  return client.GetBlob(blob, writer);
}

absl::Status Puller::BeginFetch(const oci::Digest& digest,
                                const oci::Cancelled& cancelled) {
  const absl::MutexLock lock(&mutex_);
  while (!fetching_.insert(digest).second) {
    if (cancelled && cancelled()) {
      return absl::CancelledError("the pull was cancelled");
    }
    fetched_.WaitWithTimeout(&mutex_, kCancelPoll);
  }
  return absl::OkStatus();
}

void Puller::EndFetch(const oci::Digest& digest) {
  const absl::MutexLock lock(&mutex_);
  fetching_.erase(digest);
  fetched_.SignalAll();
}

}  // namespace serai::cri
