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
  // What fails with UNAVAILABLE, a blob's transfer also with DEADLINE_EXCEEDED,
  // is tried so many times in all at each host, and as many times again after a
  // try that brought at least `progress_bytes` of a blob. The wait in between
  // doubles, up to `max_wait`, and is at least as long as the registry asks for
  // (Retry-After); one that asks for more than `max_wait` is not tried again.
  int attempts = 5;
  absl::Duration first_wait = absl::Milliseconds(200);
  absl::Duration max_wait = absl::Seconds(30);
  int64_t progress_bytes = 1 << 20;
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
  // and commits it. What the writer has already is not fetched again, where the
  // host can go on from there (RFC 9110, section 14); the digest is verified
  // over the whole. After a failure the writer holds what came.
  // `grown`, which may be empty, is called whenever it holds more.
  absl::Status GetBlob(const Descriptor& blob, BlobWriter& writer,
                       const std::function<void()>& grown = nullptr);

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
  // Says in `asked_wait_` how long the answer asks us to stay away.
  absl::Status Expect(const HttpResponse& response, int status);
  // `progress` counts the bytes that there are of the blob, and never goes
  // back; may be empty.
  absl::Status Retried(const std::function<absl::Status()>& attempt,
                       const std::function<int64_t()>& progress);
  absl::Status Wait(absl::Duration wait) const;
  absl::Status AtHosts(bool RegistryHost::*capability,
                       const std::function<absl::Status(Host&)>& attempt,
                       const std::function<int64_t()>& progress = nullptr);
  absl::StatusOr<FetchedManifest> GetManifestFrom(Host& host,
                                                  const std::string& tag,
                                                  const Digest& digest);
  absl::Status GetBlobFrom(Host& host, const Descriptor& blob,
                           BlobWriter& writer,
                           const std::function<void()>& grown);
  // From where the writer stands. `resumed`: the host went on from there.
  absl::Status Download(Host& host, const Descriptor& blob, BlobWriter& writer,
                        const std::function<void()>& grown, bool& resumed);
  absl::StatusOr<Host*> PushHost();

  const std::string registry_;
  const std::string repository_;
  const RegistryOptions options_;
  std::unique_ptr<HttpSession> session_;
  std::vector<Host> hosts_;
  absl::Duration asked_wait_;
};

// Copies `manifest` of `layout`, with its config and layers, to the registry
// under `reference`'s tag (else its digest, which must be the manifest's own):
// the blobs that it lacks, then the manifest.
absl::Status Push(const Layout& layout, const Descriptor& manifest,
                  const Reference& reference, const Credentials& credentials,
                  const RegistryOptions& options, Cancelled cancelled);

}  // namespace serai::oci
