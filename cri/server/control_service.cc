// SPDX-License-Identifier: Apache-2.0
#include "cri/server/control_service.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>

#include "cri/server/edge.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr int64_t kMaxArchiveBytes = int64_t{16} << 30;

// A file without a name in `directory`: gone when it is closed.
absl::StatusOr<UniqueFd> NamelessFile(const std::string& directory) {
  return OpenFile(directory, O_TMPFILE | O_RDWR);
}

}  // namespace

grpc::Status ControlService::LoadImage(
    grpc::ServerContext*,
    grpc::ServerReader<control::v1::LoadImageRequest>* reader,
    control::v1::LoadImageResponse* response) {
  return Answer("LoadImage", "", [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const UniqueFd archive,
                     NamelessFile(images_.layout().directory()));
    std::optional<oci::Reference> name;
    int64_t size = 0;
    control::v1::LoadImageRequest piece;
    while (reader->Read(&piece)) {
      if (size == 0 && !piece.name().empty()) {
        ASSIGN_OR_RETURN(name, oci::Reference::Parse(piece.name()));
      }
      size += static_cast<int64_t>(piece.data().size());
      if (size > kMaxArchiveBytes) {
        return absl::ResourceExhaustedError(
            "the archive is larger than 16 GiB");
      }
      RETURN_IF_ERROR(WriteAll(archive.get(), piece.data()),
                      "storing the archive");
    }
    if (::lseek(archive.get(), 0, SEEK_SET) != 0) {
      return ErrnoStatus(errno, "lseek");
    }
    ASSIGN_OR_RETURN(const std::vector<Image> images,
                     images_.Import(archive.get(), name));
    for (const Image& image : images) {
      control::v1::LoadedImage* loaded = response->add_images();
      loaded->set_id(image.id);
      for (const std::string& tag : image.repo_tags) {
        loaded->add_repo_tags(tag);
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
