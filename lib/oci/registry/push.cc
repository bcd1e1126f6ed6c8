// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/oci/registry/client.h"

namespace serai::oci {
namespace {

absl::Status PushBlob(const Layout& layout, const Digest& digest,
                      RegistryClient& client) {
  ASSIGN_OR_RETURN(const bool present, client.HasBlob(digest));
  if (present) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t size, layout.BlobSize(digest));
  ASSIGN_OR_RETURN(const UniqueFd fd, layout.OpenBlob(digest));
  return client.PutBlob(digest, fd.get(), static_cast<uint64_t>(size));
}

}  // namespace

absl::Status Push(const Layout& layout, const Descriptor& manifest,
                  const Reference& reference, const Credentials& credentials,
                  const RegistryOptions& options, Cancelled cancelled) {
  if (reference.digest() && !(*reference.digest() == manifest.digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image's digest is ", manifest.digest.ToString(),
                     ", not that of ", reference.ToString()));
  }
  ASSIGN_OR_RETURN(const std::string content, layout.ReadBlob(manifest.digest));
  ASSIGN_OR_RETURN(const Manifest parsed, ParseManifest(content));
  ASSIGN_OR_RETURN(const std::unique_ptr<RegistryClient> client,
                   RegistryClient::Create(reference, credentials, options,
                                          RegistryClient::Access::kPush,
                                          std::move(cancelled)));
  std::vector<Descriptor> blobs = parsed.layers;
  blobs.push_back(parsed.config);
  for (const Descriptor& blob : blobs) {
    RETURN_IF_ERROR(PushBlob(layout, blob.digest, *client), "pushing ",
                    blob.digest.ToString());
  }
  return Annotate(client->PutManifest(reference.tag(), manifest.digest,
                                      parsed.media_type, content),
                  "pushing the manifest");
}

}  // namespace serai::oci
