// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "lib/base/file.h"

namespace serai::cri {
namespace {

struct Free {
  void operator()(archive* a) const { ::archive_free(a); }
  void operator()(archive_entry* e) const { ::archive_entry_free(e); }
};
using Archive = std::unique_ptr<archive, Free>;
using Entry = std::unique_ptr<archive_entry, Free>;

absl::Status ErrorOf(archive* a, const std::string& what) {
  const int error = ::archive_errno(a);
  if (error > 0) return ErrnoStatus(error, what);
  const char* text = ::archive_error_string(a);
  return absl::InternalError(
      absl::StrCat(what, ": ", text == nullptr ? "error" : text));
}

// Of a sparse file the writer takes what is no hole.
absl::Status WriteContent(archive* out, int fd, const std::string& name,
                          const Deadline& deadline) {
  std::vector<char> buffer(1 << 20);
  for (;;) {
    if (deadline.Passed()) {
      return absl::DeadlineExceededError("the archive took too long");
    }
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", name));
    if (got == 0) return absl::OkStatus();
    if (::archive_write_data(out, buffer.data(), static_cast<size_t>(got)) <
        0) {
      return ErrorOf(out, absl::StrCat("writing ", name));
    }
  }
}

absl::Status AddFile(archive* out, archive* disk, const std::string& directory,
                     const std::string& name, const Deadline& deadline) {
  const std::string path = JoinPath(directory, name);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_NOFOLLOW));
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file"));
  }
  const Entry entry(::archive_entry_new());
  ::archive_entry_copy_pathname(entry.get(), name.c_str());
  // Also finds the holes.
  if (::archive_read_disk_entry_from_file(disk, entry.get(), fd.get(), &info) !=
      ARCHIVE_OK) {
    return ErrorOf(disk, path);
  }
  if (::archive_write_header(out, entry.get()) != ARCHIVE_OK) {
    return ErrorOf(out, absl::StrCat("writing the header of ", name));
  }
  return WriteContent(out, fd.get(), name, deadline);
}

absl::Status WriteTo(int fd, const std::string& directory,
                     const Deadline& deadline) {
  const Archive out(::archive_write_new());
  const Archive disk(::archive_read_disk_new());
  if (::archive_write_set_format_pax_restricted(out.get()) != ARCHIVE_OK ||
      ::archive_write_open_fd(out.get(), fd) != ARCHIVE_OK) {
    return ErrorOf(out.get(), "beginning the archive");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(AddFile(out.get(), disk.get(), directory, name, deadline));
  }
  if (::archive_write_close(out.get()) != ARCHIVE_OK) {
    return ErrorOf(out.get(), "ending the archive");
  }
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "fsync");
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteTar(const std::string& directory, const std::string& path,
                      const Deadline& deadline) {
  if (PathExists(path)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " exists already"));
  }
  const std::string part = path + ".part";
  RETURN_IF_ERROR(RemovePath(part));
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFile(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW));
  absl::Status status = WriteTo(fd.get(), directory, deadline);
  if (status.ok() && ::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path.c_str(),
                                 RENAME_NOREPLACE) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("rename to ", path));
  }
  if (status.ok()) return status;
  return FirstError(status, RemovePath(part));
}

}  // namespace serai::cri
