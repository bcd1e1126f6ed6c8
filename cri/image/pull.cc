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

// One call of Pull().
struct Puller::Run {
  ProgressReporter progress;
  const oci::Cancelled& cancelled;
  const std::string& registry;
  // The blob that this pull waits for or fetches.
  const oci::Descriptor* blob = nullptr;
  const Fetch* fetch = nullptr;

  // What is called all the time while anything is waited for.
  bool Poll() {
    if (fetch != nullptr) progress.SetReceived(blob->digest, fetch->received);
    progress.Tick();
    return cancelled && cancelled();
  }
};

absl::StatusOr<Image> Puller::Pull(const oci::Reference& reference,
                                   const oci::Credentials& credentials,
                                   const oci::Cancelled& cancelled,
                                   const PullObserver& observer) {
  const std::string what = absl::StrCat("pulling ", reference.ToString());
  Run run{ProgressReporter(reference.ToString(), observer), cancelled,
          reference.registry()};
  ASSIGN_OR_RETURN(
      const std::unique_ptr<oci::RegistryClient> client,
      oci::RegistryClient::Create(reference, credentials, options_.registry,
                                  oci::RegistryClient::Access::kPull,
                                  [&run] { return run.Poll(); }),
      what);
  ASSIGN_OR_RETURN(Image image, Transfer(reference, *client, run), what);
  run.progress.Finish(image.id);
  return image;
}

absl::StatusOr<Image> Puller::Transfer(const oci::Reference& reference,
                                       oci::RegistryClient& client, Run& run) {
  run.progress.SetStage(PullStage::kResolving);
  // When it ends, what no image needs is collected: that is how a failed pull
  // leaves nothing.
  ImageStore::Lease lease = store_.AcquireLease();
  ASSIGN_OR_RETURN(
      const oci::FetchedManifest top,
      client.GetManifest(reference.tag(),
                         reference.digest().value_or(oci::Digest())));
  RETURN_IF_ERROR(CheckSignature(options_.signatures, reference, top.digest,
                                 lease, store_.layout(), client));
  ASSIGN_OR_RETURN(const oci::FetchedManifest fetched,
                   ManifestForThisMachine(top, client));
  ASSIGN_OR_RETURN(const oci::Manifest manifest,
                   oci::ParseManifest(fetched.content));
  RETURN_IF_ERROR(CheckManifest(manifest));
  lease.Keep(fetched.digest);
  lease.Keep(manifest.config.digest);
  for (const oci::Descriptor& layer : manifest.layers) lease.Keep(layer.digest);

  // The config decides whether the layers are worth their bytes.
  RETURN_IF_ERROR(FetchBlob(manifest.config, client, run));
  RETURN_IF_ERROR(CheckConfig(manifest));
  run.progress.SetLayers(manifest.layers);
  for (const oci::Descriptor& layer : manifest.layers) {
    RETURN_IF_ERROR(FetchBlob(layer, client, run));
  }
  ASSIGN_OR_RETURN(
      const oci::Descriptor stored,
      store_.layout().WriteBlob(fetched.media_type, fetched.content));
  run.progress.SetStage(PullStage::kUnpacking);
  return store_.Put(reference, stored, top.digest,
                    [&run] { return run.Poll(); });
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
                               oci::RegistryClient& client, Run& run) {
  const FetchKey key(run.registry, blob.digest);
  const std::shared_ptr<Fetch> fetch = Join(key);
  run.blob = &blob;
  run.fetch = fetch.get();
  const absl::Cleanup leave = [&] {
    run.fetch = nullptr;
    Leave(key);
  };
  RETURN_IF_ERROR(TakeTurn(*fetch, run));
  const absl::Cleanup end = [&] { EndTurn(*fetch); };
  RETURN_IF_ERROR(FetchAlone(blob, client, *fetch));
  run.progress.SetReceived(blob.digest, blob.size);
  return absl::OkStatus();
}

absl::Status Puller::FetchAlone(const oci::Descriptor& blob,
                                oci::RegistryClient& client, Fetch& fetch) {
  const oci::Layout& layout = store_.layout();
  if (layout.HasBlob(blob.digest)) {
    ASSIGN_OR_RETURN(const int64_t size, layout.BlobSize(blob.digest));
    if (size == blob.size) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat("the manifest gives ", blob.digest.ToString(), " ",
                     blob.size, " bytes, it has ", size));
  }
  // Another manifest may have lied about the length.
  if (fetch.partial == nullptr || fetch.size != blob.size) {
    ASSIGN_OR_RETURN(oci::BlobWriter writer,
                     layout.StartBlob(blob.digest, blob.size));
    fetch.partial = std::make_unique<oci::BlobWriter>(std::move(writer));
    fetch.size = blob.size;
  }
  RETURN_IF_ERROR(client.GetBlob(blob, *fetch.partial, [&fetch] {
    fetch.received = fetch.partial->written();
  }));
  fetch.partial.reset();
  return absl::OkStatus();
}

std::shared_ptr<Puller::Fetch> Puller::Join(const FetchKey& key) {
  const absl::MutexLock lock(&mutex_);
  std::shared_ptr<Fetch>& fetch = fetches_[key];
  if (fetch == nullptr) fetch = std::make_shared<Fetch>();
  ++fetch->users;
  return fetch;
}

void Puller::Leave(const FetchKey& key) {
  const absl::MutexLock lock(&mutex_);
  const auto fetch = fetches_.find(key);
  if (--fetch->second->users == 0) fetches_.erase(fetch);
}

absl::Status Puller::TakeTurn(Fetch& fetch, Run& run) {
  for (;;) {
    {
      const absl::MutexLock lock(&mutex_);
      if (fetch.busy) ended_.WaitWithTimeout(&mutex_, kCancelPoll);
      if (!fetch.busy) {
        fetch.busy = true;
        return absl::OkStatus();
      }
    }
    if (run.Poll()) return absl::CancelledError("the pull was cancelled");
  }
}

void Puller::EndTurn(Fetch& fetch) {
  const absl::MutexLock lock(&mutex_);
  fetch.busy = false;
  ended_.SignalAll();
}

}  // namespace serai::cri
