// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads tar streams of strangers: layers and image archives. libarchive does
// the formats (only tar, gzip and zstd are let in); nothing here touches the
// file system.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

struct archive;
struct archive_entry;

namespace serai::oci {

// Gives the next bytes of a stream, valid until the next call; empty at its
// end.
using ByteSource = std::function<absl::StatusOr<absl::string_view>()>;

// The bytes of a file, uncompressed where it is gzip or zstd. One thread.
class Decompressor {
 public:
  // Reads `fd` (borrowed; a pipe will do) from where it stands. More than
  // `max_bytes` of output is RESOURCE_EXHAUSTED.
  static absl::StatusOr<Decompressor> Open(int fd, int64_t max_bytes);
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) = delete;
  ~Decompressor();

  // As ByteSource. INVALID_ARGUMENT for damaged or truncated data.
  absl::StatusOr<absl::string_view> Next();

 private:
  struct Free {
    void operator()(archive* reader) const;
  };
  Decompressor(std::unique_ptr<archive, Free> reader, int64_t max_bytes);

  std::unique_ptr<archive, Free> reader_;
  int64_t left_;
  bool empty_ = false;
};

enum class TarEntryType { kFile, kDirectory, kSymlink, kHardLink, kOther };

struct TarEntry {
  std::string path;  // as it stands in the archive: any string
  TarEntryType type = TarEntryType::kOther;
  uint32_t mode = 0;   // the permission bits, with set-id and sticky
  int64_t size = 0;    // of a file's content, holes included; never negative
  std::string target;  // of a link, as it stands in the archive
};

// One thread. INVALID_ARGUMENT for a damaged archive; the source's own errors
// come through unchanged.
class TarReader {
 public:
  static absl::StatusOr<std::unique_ptr<TarReader>> Open(ByteSource source);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // Goes to the next entry, skipping what is left of this one. False at the
  // end of the archive.
  absl::StatusOr<bool> Next(TarEntry* entry);
  // The entry's content in ascending pieces; what lies between is zeros.
  using Sink = std::function<absl::Status(int64_t offset, absl::string_view)>;
  absl::Status ReadContent(const Sink& sink);

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  absl::Status Failure() const;
  std::unique_ptr<State> state_;
};

}  // namespace serai::oci
