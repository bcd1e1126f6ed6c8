// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/layout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/match.h"
#include "lib/base/file.h"

namespace serai::oci {
namespace {

constexpr char kLayoutFile[] = "oci-layout";
constexpr char kIndexFile[] = "index.json";
constexpr size_t kMaxLayoutFile = 4096;
constexpr char kTemporaryPrefix[] = ".incoming.";
constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;

// Makes a rename or an unlink in `directory` survive a power cut.
absl::Status SyncDirectory(const std::string& directory) {
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("fsync ", directory));
  }
  return absl::OkStatus();
}

}  // namespace

BlobWriter::BlobWriter(std::string directory, std::string temporary,
                       UniqueFd fd, Digest expected, int64_t size,
                       int64_t max_bytes)
    : directory_(std::move(directory)),
      temporary_(std::move(temporary)),
      fd_(std::move(fd)),
      expected_(std::move(expected)),
      size_(size),
      max_bytes_(max_bytes) {}

BlobWriter::BlobWriter(BlobWriter&& other) noexcept
    : directory_(std::move(other.directory_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)),
      hash_(std::move(other.hash_)),
      expected_(std::move(other.expected_)),
      size_(other.size_),
      max_bytes_(other.max_bytes_),
      written_(other.written_) {}

BlobWriter::~BlobWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status BlobWriter::Write(absl::string_view data) {
  const int64_t limit = size_ >= 0 ? size_ : max_bytes_;
  if (data.size() > static_cast<uint64_t>(limit - written_)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        size_ >= 0 ? "the blob is longer than announced: more than "
                   : "the blob is longer than ",
        limit, " bytes"));
  }
  if (const absl::Status stored = WriteAll(fd_.get(), data); !stored.ok()) {
    // A part may have been written; what is written next goes over it.
    ::lseek(fd_.get(), written_, SEEK_SET);
    return Annotate(stored, "storing a blob");
  }
  hash_.Update(data);
  written_ += static_cast<int64_t>(data.size());
  return absl::OkStatus();
}

absl::Status BlobWriter::Restart() {
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0) {
    return ErrnoStatus(errno, absl::StrCat("truncate ", temporary_));
  }
  hash_ = Sha256();
  written_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<Digest> BlobWriter::Commit() {
  if (size_ >= 0 && written_ != size_) {
    return absl::DataLossError(absl::StrCat("the blob ends after ", written_,
                                            " of ", size_, " bytes"));
  }
  Digest digest = hash_.Finish();
  if (!expected_.empty() && !(digest == expected_)) {
    return absl::DataLossError(absl::StrCat("the blob's digest is ",
                                            digest.ToString(), " and not ",
                                            expected_.ToString()));
  }
  if (::fchmod(fd_.get(), kFileMode) != 0 || ::fsync(fd_.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("fsync ", temporary_));
  }
  const std::string path = JoinPath(directory_, digest.hex());
  if (::rename(temporary_.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename to ", path));
  }
  temporary_.clear();
  RETURN_IF_ERROR(SyncDirectory(directory_));
  return digest;
}

absl::StatusOr<Layout> Layout::Create(const std::string& directory) {
  Layout layout(directory);
  RETURN_IF_ERROR(MakeDirs(layout.BlobDirectory(), kDirectoryMode));
  // The index first: a directory with an oci-layout file must be a layout.
  if (!PathExists(JoinPath(directory, kIndexFile))) {
    RETURN_IF_ERROR(layout.WriteIndex(Index{}));
  }
  const std::string marker = JoinPath(directory, kLayoutFile);
  if (!PathExists(marker)) {
    RETURN_IF_ERROR(WriteFileAtomic(marker, kLayoutMarker, kFileMode));
  }
  return Open(directory);
}

absl::StatusOr<Layout> Layout::Open(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string marker,
                   ReadFile(JoinPath(directory, kLayoutFile), kMaxLayoutFile),
                   directory, " is not an OCI image layout");
  // The version's place in the document is all that is asked of it.
  if (!absl::StrContains(marker, "imageLayoutVersion")) {
    return absl::InvalidArgumentError(
        absl::StrCat(directory, " is not an OCI image layout: its ",
                     kLayoutFile, " has no imageLayoutVersion"));
  }
  return Layout(directory);
}

std::string Layout::BlobDirectory() const {
  return JoinPath(directory_, "blobs/sha256");
}

std::string Layout::BlobPath(const Digest& digest) const {
  return JoinPath(BlobDirectory(), digest.hex());
}

bool Layout::HasBlob(const Digest& digest) const {
  return !digest.empty() && PathExists(BlobPath(digest));
}

absl::StatusOr<UniqueFd> Layout::OpenBlob(const Digest& digest) const {
  if (digest.empty()) return absl::InvalidArgumentError("no digest");
  return OpenFile(BlobPath(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

absl::StatusOr<std::string> Layout::ReadBlob(const Digest& digest,
                                             size_t max_bytes) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenBlob(digest));
  ASSIGN_OR_RETURN(std::string data, ReadAll(fd.get(), max_bytes), "blob ",
                   digest.ToString());
  if (!(DigestOf(data) == digest)) {
    return absl::DataLossError(absl::StrCat(
        BlobPath(digest), ": the content does not match the name"));
  }
  return data;
}

absl::StatusOr<int64_t> Layout::BlobSize(const Digest& digest) const {
  const std::string path = BlobPath(digest);
  struct stat st = {};
  if (::lstat(path.c_str(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  return int64_t{st.st_size};
}

absl::StatusOr<BlobWriter> Layout::StartBlob(const Digest& expected,
                                             int64_t size,
                                             int64_t max_bytes) const {
  if (size > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a blob of ", size, " bytes; the most is ", max_bytes));
  }
  std::string temporary =
      absl::StrCat(JoinPath(BlobDirectory(), kTemporaryPrefix), "XXXXXX");
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno,
                       absl::StrCat("create a file in ", BlobDirectory()));
  }
  return BlobWriter(BlobDirectory(), std::move(temporary), std::move(fd),
                    expected, size, max_bytes);
}

absl::StatusOr<Descriptor> Layout::WriteBlob(absl::string_view media_type,
                                             absl::string_view data) const {
  Descriptor descriptor;
  descriptor.media_type = std::string(media_type);
  descriptor.digest = DigestOf(data);
  descriptor.size = static_cast<int64_t>(data.size());
  if (HasBlob(descriptor.digest)) return descriptor;
  ASSIGN_OR_RETURN(BlobWriter writer,
                   StartBlob(descriptor.digest, descriptor.size));
  RETURN_IF_ERROR(writer.Write(data));
  RETURN_IF_ERROR(writer.Commit().status());
  return descriptor;
}

absl::Status Layout::TakeBlob(const Digest& digest,
                              const std::string& path) const {
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a regular file"));
  }
  // First, or the content could be another's a moment after it was verified.
  if ((st.st_uid != ::geteuid() &&
       ::fchown(fd.get(), ::geteuid(), ::getegid()) != 0) ||
      ::fchmod(fd.get(), kFileMode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chown ", path));
  }
  ASSIGN_OR_RETURN(const Digest found, DigestOfFile(fd.get()), path);
  if (!(found == digest)) {
    return absl::DataLossError(absl::StrCat("a blob's digest is ",
                                            found.ToString(), " and not ",
                                            digest.ToString()));
  }
  if (HasBlob(digest)) return RemovePath(path);
  if (::fsync(fd.get()) != 0 ||
      ::rename(path.c_str(), BlobPath(digest).c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename ", path));
  }
  return SyncDirectory(BlobDirectory());
}

absl::Status Layout::RemoveBlob(const Digest& digest) const {
  if (digest.empty()) return absl::OkStatus();
  return RemovePath(BlobPath(digest));
}

absl::StatusOr<std::vector<Digest>> Layout::ListBlobs() const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDir(BlobDirectory()));
  std::vector<Digest> result;
  for (const std::string& name : names) {
    absl::StatusOr<Digest> digest =
        Digest::Parse(absl::StrCat("sha256:", name));
    if (digest.ok()) result.push_back(*std::move(digest));
  }
  return result;
}

absl::StatusOr<Index> Layout::ReadIndex() const {
  const std::string path = JoinPath(directory_, kIndexFile);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxDocumentBytes));
  ASSIGN_OR_RETURN(Index index, ParseIndex(text), path);
  return index;
}

absl::Status Layout::WriteIndex(const Index& index) const {
  RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory_, kIndexFile),
                                  ToJson(index), kFileMode));
  return SyncDirectory(directory_);
}

absl::Status Layout::AddManifest(Descriptor manifest,
                                 absl::string_view name) const {
  ASSIGN_OR_RETURN(Index index, ReadIndex());
  manifest.annotations.erase(kAnnotationRefName);
  if (!name.empty()) {
    manifest.annotations[kAnnotationRefName] = std::string(name);
  }
  const auto takes_its_place = [&](const Descriptor& entry) {
    const auto it = entry.annotations.find(kAnnotationRefName);
    if (it == entry.annotations.end()) {
      return name.empty() && entry.digest == manifest.digest;
    }
    return it->second == name;
  };
  auto& entries = index.manifests;
  entries.erase(std::remove_if(entries.begin(), entries.end(), takes_its_place),
                entries.end());
  entries.push_back(std::move(manifest));
  return WriteIndex(index);
}

absl::Status Layout::RemoveLeftovers() const {
  for (const std::string& directory : {BlobDirectory(), directory_}) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
    for (const std::string& name : names) {
      const bool leftover = absl::StartsWith(name, kTemporaryPrefix) ||
                            absl::StartsWith(name, "index.json.tmp.") ||
                            absl::StartsWith(name, "oci-layout.tmp.");
      if (leftover) RETURN_IF_ERROR(RemovePath(JoinPath(directory, name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace serai::oci
