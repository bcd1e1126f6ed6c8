// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cerrno>

namespace serai::oci {
namespace {

constexpr size_t kReadChunk = 64 * 1024;

absl::Status ArchiveError(archive* reader) {
  const int error = archive_errno(reader);
  const char* text = archive_error_string(reader);
  const absl::string_view why = text == nullptr ? "unknown error" : text;
  // The file's own troubles carry an errno; a damaged format has a
  // libarchive code, which is negative, EILSEQ or EINVAL.
  if (error == EIO || error == ENOMEM) return ErrnoStatus(error, why);
  return absl::InvalidArgumentError(absl::StrCat("damaged archive: ", why));
}

// libarchive converts names between the locale's characters and UTF-8, and has
// only the one that the archive gave when that fails.
std::string Either(const char* utf8, const char* locale) {
  return utf8 != nullptr ? utf8 : locale != nullptr ? locale : "";
}

TarEntryType TypeOf(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr ||
      archive_entry_hardlink_utf8(entry) != nullptr) {
    return TarEntryType::kHardLink;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return TarEntryType::kFile;
    case AE_IFDIR:
      return TarEntryType::kDirectory;
    case AE_IFLNK:
      return TarEntryType::kSymlink;
    default:
      return TarEntryType::kOther;
  }
}

}  // namespace

void Decompressor::Free::operator()(archive* reader) const {
  archive_read_free(reader);
}

Decompressor::Decompressor(std::unique_ptr<archive, Free> reader,
                           int64_t max_bytes)
    : reader_(std::move(reader)), left_(max_bytes) {}
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor::~Decompressor() = default;

absl::StatusOr<Decompressor> Decompressor::Open(int fd, int64_t max_bytes) {
  std::unique_ptr<archive, Free> reader(archive_read_new());
  if (reader == nullptr) return ErrnoStatus(ENOMEM, "reading an archive");
  archive* const raw = reader.get();
  archive_entry* entry = nullptr;
  if (archive_read_support_filter_gzip(raw) != ARCHIVE_OK ||
      archive_read_support_filter_zstd(raw) != ARCHIVE_OK ||
      archive_read_support_format_raw(raw) != ARCHIVE_OK ||
      archive_read_support_format_empty(raw) != ARCHIVE_OK ||
      archive_read_open_fd(raw, fd, kReadChunk) != ARCHIVE_OK) {
    return ArchiveError(raw);
  }
  const int result = archive_read_next_header(raw, &entry);
  if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return ArchiveError(raw);
  Decompressor stream(std::move(reader), max_bytes);
  stream.empty_ = result == ARCHIVE_EOF;
  return stream;
}

absl::StatusOr<absl::string_view> Decompressor::Next() {
  if (empty_) return absl::string_view();
  const void* data = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  do {
    const int result =
        archive_read_data_block(reader_.get(), &data, &size, &offset);
    if (result == ARCHIVE_EOF) return absl::string_view();
    if (result != ARCHIVE_OK) return ArchiveError(reader_.get());
  } while (size == 0);
  if (static_cast<uint64_t>(left_) < size) {
    return absl::ResourceExhaustedError(
        "the archive holds more than is allowed when uncompressed");
  }
  left_ -= static_cast<int64_t>(size);
  return absl::string_view(static_cast<const char*>(data), size);
}

struct TarReader::State {
  struct Free {
    void operator()(archive* a) const { archive_read_free(a); }
  };
  std::unique_ptr<archive, Free> reader;
  ByteSource source;
  absl::Status source_error;

  static la_ssize_t Read(archive* caller, void* state, const void** data) {
    State* const self = static_cast<State*>(state);
    absl::StatusOr<absl::string_view> chunk = self->source();
    if (!chunk.ok()) {
      self->source_error = chunk.status();
      archive_set_error(caller, EIO, "source failed");
      return -1;
    }
    *data = chunk->data();
    return static_cast<la_ssize_t>(chunk->size());
  }
};

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::~TarReader() = default;

absl::Status TarReader::Failure() const {
  if (!state_->source_error.ok()) return state_->source_error;
  return ArchiveError(state_->reader.get());
}

absl::StatusOr<std::unique_ptr<TarReader>> TarReader::Open(ByteSource source) {
  auto state = std::make_unique<State>();
  state->source = std::move(source);
  state->reader.reset(archive_read_new());
  archive* const raw = state->reader.get();
  if (raw == nullptr) return ErrnoStatus(ENOMEM, "reading a tar");
  std::unique_ptr<TarReader> reader(new TarReader(std::move(state)));
  if (archive_read_support_format_tar(raw) != ARCHIVE_OK ||
      archive_read_open(raw, reader->state_.get(), nullptr, &State::Read,
                        nullptr) != ARCHIVE_OK) {
    return reader->Failure();
  }
  return reader;
}

absl::StatusOr<bool> TarReader::Next(TarEntry* out) {
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(state_->reader.get(), &entry);
  if (result == ARCHIVE_EOF) return false;
  // A warning is about a name that has no form in this locale; the entry is
  // whole.
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Failure();
  out->path =
      Either(archive_entry_pathname_utf8(entry), archive_entry_pathname(entry));
  out->type = TypeOf(entry);
  out->mode = archive_entry_perm(entry);
  out->size = archive_entry_size(entry);
  out->target.clear();
  if (out->type == TarEntryType::kHardLink) {
    out->target = Either(archive_entry_hardlink_utf8(entry),
                         archive_entry_hardlink(entry));
  } else if (out->type == TarEntryType::kSymlink) {
    out->target =
        Either(archive_entry_symlink_utf8(entry), archive_entry_symlink(entry));
  }
  if (out->path.empty() || out->size < 0) {
    return absl::InvalidArgumentError(
        "damaged archive: an entry without a name or a length");
  }
  return true;
}

absl::Status TarReader::ReadContent(const Sink& sink) {
  for (;;) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result =
        archive_read_data_block(state_->reader.get(), &data, &size, &offset);
    if (result == ARCHIVE_EOF) return absl::OkStatus();
    if (result != ARCHIVE_OK) return Failure();
    if (size == 0) continue;
    RETURN_IF_ERROR(
        sink(offset, absl::string_view(static_cast<const char*>(data), size)));
  }
}

}  // namespace serai::oci
