// SPDX-License-Identifier: Apache-2.0
#pragma once

// A client of the OCI distribution specification (and of Docker's registries,
// its ancestors) for one repository. Everything a registry sends is hostile:
// bounded, and verified against its digest wherever it has one.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"
#include "lib/oci/reference.h"
#include "lib/oci/registry/authorizer.h"
#include "lib/oci/registry/hosts.h"
#include "lib/oci/registry/http.h"

namespace serai::oci {

struct RegistryOptions {
  std::string config_path;  // directory of hosts.toml files; empty: none
  HttpLimits limits;
  // Downloads that fail with UNAVAILABLE are tried so many times in all, with
  // the wait doubling in between.
  int attempts = 3;
  absl::Duration first_wait = absl::Milliseconds(100);
};

struct FetchedManifest {
  std::string content;
  Digest digest;           // of `content`
  std::string media_type;  // kMediaTypeIndex etc., from the content
};

// Hosts are tried in order; the first that answers well is used. One thread at
// a time. Errors, each naming host and path:
//   NOT_FOUND            no such repository, tag or blob
//   UNAUTHENTICATED, PERMISSION_DENIED
//   UNAVAILABLE          no connection, closed half-way, 5xx, 429
//   DEADLINE_EXCEEDED    too slow
//   DATA_LOSS            not the content that the digest names
//   INVALID_ARGUMENT     no manifest, or not one we read
//   RESOURCE_EXHAUSTED   a manifest longer than 4 MiB; our disk is full
//   FAILED_PRECONDITION  certificate not trusted, or a bad redirect
//   CANCELLED
// After failures at several hosts the message has each, the code is the last's.
class RegistryClient {
 public:
  enum class Access { kPull, kPush };

  // Contacts nothing yet. `cancelled` as in HttpSession.
  static absl::StatusOr<std::unique_ptr<RegistryClient>> Create(
      const Reference& reference, const Credentials& credentials,
      const RegistryOptions& options, Access access, Cancelled cancelled);
  ~RegistryClient();

  // By the digest if there is one, else by the tag; verified against it.
  absl::StatusOr<FetchedManifest> GetManifest(const std::string& tag,
                                              const Digest& digest);
  // Streams the blob into `writer`, which the caller made for the descriptor,
  // and commits it.
  absl::Status GetBlob(const Descriptor& blob, BlobWriter& writer);

  absl::StatusOr<bool> HasBlob(const Digest& digest);
  // Uploads `size` bytes from the start of the borrowed `fd` in one piece.
  absl::Status PutBlob(const Digest& digest, int fd, uint64_t size);
  // Under a tag, or under its digest when `tag` is empty.
  absl::Status PutManifest(const std::string& tag, const Digest& digest,
                           absl::string_view media_type,
                           const std::string& content);

 private:
  struct Host;

  RegistryClient(const Reference& reference, const RegistryOptions& options,
                 Cancelled cancelled);

  HttpRequest MakeRequest(const Host& host, absl::string_view path) const;
  absl::StatusOr<HttpResponse> Authorized(Host& host, HttpRequest request);
  absl::Status Retried(const std::function<absl::Status()>& attempt);
  absl::Status AtHosts(bool RegistryHost::*capability,
                       const std::function<absl::Status(Host&)>& attempt);
  absl::StatusOr<FetchedManifest> GetManifestFrom(Host& host,
                                                  const std::string& tag,
                                                  const Digest& digest);
  absl::Status GetBlobFrom(Host& host, const Descriptor& blob,
                           BlobWriter& writer);
  absl::StatusOr<Host*> PushHost();

  const std::string registry_;
  const std::string repository_;
  const RegistryOptions options_;
  std::unique_ptr<HttpSession> session_;
  std::vector<Host> hosts_;
};

// Copies `manifest` of `layout`, with its config and layers, to the registry
// under `reference`'s tag (else its digest, which must be the manifest's own):
// the blobs that it lacks, then the manifest.
absl::Status Push(const Layout& layout, const Descriptor& manifest,
                  const Reference& reference, const Credentials& credentials,
                  const RegistryOptions& options, Cancelled cancelled);

}  // namespace serai::oci
