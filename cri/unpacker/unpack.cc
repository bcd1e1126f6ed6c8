// SPDX-License-Identifier: Apache-2.0
#include "cri/unpacker/unpack.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "cri/unpacker/tree.h"
#include "lib/oci/tar_reader.h"

namespace serai::cri {
namespace {

constexpr char kWhiteoutPrefix[] = ".wh.";
constexpr char kOpaqueName[] = ".wh..wh..opq";
constexpr char kWhiteoutMetaPrefix[] = ".wh..wh.";

// Of an entry in a tar, beside its content: headers, long names, padding.
constexpr int64_t kMaxEntryOverhead = 16 * 1024;

// What may still be unpacked.
struct Budget {
  int64_t bytes;
  size_t entries;
};

absl::Status WriteAt(int fd, int64_t offset, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::pwrite(fd, data.data(), data.size(), offset);
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "write");
    }
    data.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
  return absl::OkStatus();
}

absl::Status UnpackFile(oci::TarReader& tar, const oci::TarEntry& entry,
                        Budget& budget, Tree& tree) {
  if (entry.size > budget.bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("layer entry \"", entry.path, "\": ", entry.size,
                     " bytes are more than an image may unpack to"));
  }
  budget.bytes -= entry.size;
  ASSIGN_OR_RETURN(const UniqueFd fd, tree.MakeFile(entry.path, entry.mode));
  RETURN_IF_ERROR(tar.ReadContent([&](int64_t offset, absl::string_view data) {
    if (offset < 0 || offset > entry.size ||
        static_cast<int64_t>(data.size()) > entry.size - offset) {
      return absl::Status(
          absl::InvalidArgumentError("more content than its header says"));
    }
    return WriteAt(fd.get(), offset, data);
  }),
                  "layer entry \"", entry.path, "\"");
  // Holes at the end of a sparse file.
  if (::ftruncate(fd.get(), entry.size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("truncate ", entry.path));
  }
  return absl::OkStatus();
}

absl::Status UnpackWhiteout(absl::string_view directory, absl::string_view name,
                            Tree& tree) {
  if (name == kOpaqueName) return tree.MakeOpaque(directory);
  // Other names of this kind are an old file system's own bookkeeping.
  if (absl::StartsWith(name, kWhiteoutMetaPrefix)) return absl::OkStatus();
  absl::ConsumePrefix(&name, kWhiteoutPrefix);
  if (name.empty() || name == "." || name == "..") {
    return absl::InvalidArgumentError(absl::StrCat(
        "layer: a whiteout of \"", name, "\" in \"", directory, "\""));
  }
  return tree.Whiteout(absl::StrCat(directory, "/", name));
}

absl::Status UnpackEntry(oci::TarReader& tar, const oci::TarEntry& entry,
                         Budget& budget, Tree& tree) {
  const absl::string_view path = entry.path;
  const size_t slash = path.rfind('/');
  const absl::string_view name =
      slash == path.npos ? path : path.substr(slash + 1);
  if (absl::StartsWith(name, kWhiteoutPrefix)) {
    return UnpackWhiteout(slash == path.npos ? "" : path.substr(0, slash), name,
                          tree);
  }
  switch (entry.type) {
    case oci::TarEntryType::kFile:
      return UnpackFile(tar, entry, budget, tree);
    case oci::TarEntryType::kDirectory:
      return tree.MakeDirectory(path, entry.mode);
    case oci::TarEntryType::kSymlink:
      return tree.MakeSymlink(path, entry.target);
    case oci::TarEntryType::kHardLink:
      return tree.MakeHardLink(path, entry.target);
    case oci::TarEntryType::kOther:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status UnpackLayer(const Layer& layer, int64_t max_stream, Budget& budget,
                         Tree& tree) {
  ASSIGN_OR_RETURN(oci::Decompressor stream,
                   oci::Decompressor::Open(layer.fd, max_stream));
  oci::Sha256 hash;
  const auto next = [&]() -> absl::StatusOr<absl::string_view> {
    ASSIGN_OR_RETURN(const absl::string_view data, stream.Next());
    hash.Update(data);
    return data;
  };
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::TarReader> tar,
                   oci::TarReader::Open(next));
  tree.BeginLayer();
  for (oci::TarEntry entry;;) {
    ASSIGN_OR_RETURN(const bool more, tar->Next(&entry));
    if (!more) break;
    if (budget.entries == 0) {
      return absl::ResourceExhaustedError("too many files in the image");
    }
    --budget.entries;
    RETURN_IF_ERROR(UnpackEntry(*tar, entry, budget, tree));
  }
  // What follows the end mark counts in the diff id.
  for (;;) {
    ASSIGN_OR_RETURN(const absl::string_view rest, next());
    if (rest.empty()) break;
  }
  const oci::Digest found = hash.Finish();
  if (!(found == layer.diff_id)) {
    return absl::DataLossError(
        absl::StrCat("the layer unpacks to ", found.ToString(), " and not to ",
                     layer.diff_id.ToString(), " as the image's config says"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status UnpackLayers(const std::vector<Layer>& layers,
                          const std::string& directory,
                          const UnpackLimits& limits) {
  ASSIGN_OR_RETURN(Tree tree, Tree::Open(directory));
  Budget budget{limits.max_bytes, limits.max_entries};
  // Headers and padding come to what the files hold.
  const int64_t max_stream =
      limits.max_bytes +
      kMaxEntryOverhead * static_cast<int64_t>(limits.max_entries);
  for (const Layer& layer : layers) {
    RETURN_IF_ERROR(UnpackLayer(layer, max_stream, budget, tree), "layer ",
                    layer.digest.ToString());
  }
  return absl::OkStatus();
}

}  // namespace serai::cri
