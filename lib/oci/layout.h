// SPDX-License-Identifier: Apache-2.0
#pragma once

// An OCI image layout on disk (image-spec image-layout.md): oci-layout,
// index.json and blobs/sha256/<hex>. A blob appears under its name complete,
// verified and synced or not at all, so a crash at any point leaves a valid
// layout and at most temporary files, which RemoveLeftovers() takes away.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/digest.h"
#include "lib/oci/manifest.h"

namespace serai::oci {

// The content of the file "oci-layout".
inline constexpr char kLayoutMarker[] = R"({"imageLayoutVersion":"1.0.0"})";

// A blob on its way in: write all of it, then Commit(). Destroyed without a
// commit it leaves nothing. One thread at a time.
class BlobWriter {
 public:
  BlobWriter(BlobWriter&& other) noexcept;
  BlobWriter& operator=(BlobWriter&&) = delete;
  ~BlobWriter();

  // RESOURCE_EXHAUSTED on a full disk and when more comes than was announced.
  absl::Status Write(absl::string_view data);
  int64_t written() const { return written_; }
  // Forgets what was written, for a transfer that starts again.
  absl::Status Restart();
  // Verifies, syncs and renames; the digest of what was written. DATA_LOSS when
  // digest or size differ from what was expected.
  absl::StatusOr<Digest> Commit();

 private:
  friend class Layout;
  BlobWriter(std::string directory, std::string temporary, UniqueFd fd,
             Digest expected, int64_t size, int64_t max_bytes);

  std::string directory_;
  std::string temporary_;  // empty: committed or moved from
  UniqueFd fd_;
  Sha256 hash_;
  Digest expected_;
  int64_t size_;  // -1: unknown
  int64_t max_bytes_;
  int64_t written_ = 0;
};

// A layout directory. Copyable; holds no descriptor. Blob operations may run in
// any number of threads and processes; index writes must be serialised by the
// caller.
class Layout {
 public:
  // Makes the directory and its files where they are missing.
  static absl::StatusOr<Layout> Create(const std::string& directory);
  // NOT_FOUND or INVALID_ARGUMENT when it is no layout.
  static absl::StatusOr<Layout> Open(const std::string& directory);

  const std::string& directory() const { return directory_; }

  std::string BlobPath(const Digest& digest) const;
  bool HasBlob(const Digest& digest) const;
  // NOT_FOUND when it is not here. The content is not verified again.
  absl::StatusOr<UniqueFd> OpenBlob(const Digest& digest) const;
  // A blob in memory, verified. RESOURCE_EXHAUSTED when longer than
  // `max_bytes`, DATA_LOSS when the content does not match its name.
  absl::StatusOr<std::string> ReadBlob(
      const Digest& digest, size_t max_bytes = kMaxDocumentBytes) const;
  absl::StatusOr<int64_t> BlobSize(const Digest& digest) const;

  // `expected` may be empty (any content) and `size` -1 (any length up to
  // `max_bytes`).
  absl::StatusOr<BlobWriter> StartBlob(const Digest& expected, int64_t size,
                                       int64_t max_bytes = kMaxBlobBytes) const;
  // A descriptor without annotations of the blob now stored.
  absl::StatusOr<Descriptor> WriteBlob(absl::string_view media_type,
                                       absl::string_view data) const;
  // Moves the file `path`, on the layout's file system, to where the blob
  // `digest` belongs, as ours; it is removed where that is there already. The
  // file must have nobody else who writes to it. DATA_LOSS when its content is
  // not that, INVALID_ARGUMENT when it is no regular file.
  absl::Status TakeBlob(const Digest& digest, const std::string& path) const;
  // A blob that is not there is success.
  absl::Status RemoveBlob(const Digest& digest) const;
  absl::StatusOr<std::vector<Digest>> ListBlobs() const;

  absl::StatusOr<Index> ReadIndex() const;
  // Replaces index.json in one step.
  absl::Status WriteIndex(const Index& index) const;
  // Adds `manifest` under `name` (kAnnotationRefName) in place of an entry of
  // that name; with an empty name in place of an unnamed one of its digest.
  absl::Status AddManifest(Descriptor manifest, absl::string_view name) const;

  // Removes what writers left that died. Only while no writer is at work.
  absl::Status RemoveLeftovers() const;

  static constexpr int64_t kMaxBlobBytes = int64_t{16} << 30;

 private:
  explicit Layout(std::string directory) : directory_(std::move(directory)) {}
  std::string BlobDirectory() const;
  std::string directory_;
};

}  // namespace serai::oci
