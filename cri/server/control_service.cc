// SPDX-License-Identifier: Apache-2.0
#include "cri/server/control_service.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "cri/server/edge.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr int64_t kMaxArchiveBytes = int64_t{16} << 30;

// A file without a name in `directory`: gone when it is closed.
absl::StatusOr<UniqueFd> NamelessFile(const std::string& directory) {
  return OpenFile(directory, O_TMPFILE | O_RDWR);
}

control::v1::PullProgress ToMessage(const PullProgress& progress) {
  control::v1::PullProgress message;
  message.set_stage(progress.stage == PullStage::kResolving ? message.RESOLVING
                    : progress.stage == PullStage::kDownloading
                        ? message.DOWNLOADING
                        : message.UNPACKING);
  for (const BlobProgress& layer : progress.layers) {
    control::v1::LayerProgress* out = message.add_layers();
    out->set_digest(layer.digest.ToString());
    out->set_size(layer.size);
    out->set_received(layer.received);
  }
  message.set_bytes_per_second(progress.bytes_per_second);
  return message;
}

// From the thread that pulls to the one that tells: the newest only.
class PullMailbox {
 public:
  void Put(const PullProgress& progress) {
    const absl::MutexLock lock(&mutex_);
    newest_ = progress;
  }
  void Finish(absl::StatusOr<Image> result) {
    const absl::MutexLock lock(&mutex_);
    result_ = std::move(result);
    finished_ = true;
  }
  // Waits for news; nullopt when there will be none.
  std::optional<PullProgress> Take() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &PullMailbox::HasNews));
    return std::exchange(newest_, std::nullopt);
  }
  // Once Take() has said the end.
  const absl::StatusOr<Image>& result() const { return result_; }

 private:
  bool HasNews() const { return newest_ || finished_; }

  absl::Mutex mutex_;
  std::optional<PullProgress> newest_;
  bool finished_ = false;
  absl::StatusOr<Image> result_;
};

}  // namespace

grpc::Status ControlService::LoadImage(
    grpc::ServerContext* context,
    grpc::ServerReader<control::v1::LoadImageRequest>* reader,
    control::v1::LoadImageResponse* response) {
  return Answer("LoadImage", "", [&]() -> absl::Status {
    if (puller_ == nullptr) {
      return absl::UnimplementedError(
          "images are containerd's here: `ctr -n k8s.io images import FILE` "
          "loads one");
    }
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
                     images_.Import(archive.get(), name, [context] {
                       return context->IsCancelled();
                     }));
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

grpc::Status ControlService::PullImage(
    grpc::ServerContext* context, const control::v1::PullImageRequest* request,
    grpc::ServerWriter<control::v1::PullProgress>* writer) {
  return Answer("PullImage", request->reference(), [&]() -> absl::Status {
    if (puller_ == nullptr) {
      return absl::UnimplementedError(
          "images are containerd's here: pull by the CRI");
    }
    ASSIGN_OR_RETURN(const oci::Reference reference,
                     oci::Reference::Parse(request->reference()));
    oci::Credentials credentials;
    credentials.username = request->username();
    credentials.password = request->password();
    // The pull goes on, for others that share it too, while the caller is slow
    // to take what is told.
    PullMailbox mailbox;
    std::thread pull([&] {
      mailbox.Finish(puller_->Pull(
          reference, credentials, [context] { return context->IsCancelled(); },
          [&](const PullProgress& progress) { mailbox.Put(progress); }));
    });
    while (const std::optional<PullProgress> progress = mailbox.Take()) {
      writer->Write(ToMessage(*progress));
    }
    pull.join();
    RETURN_IF_ERROR(mailbox.result().status());
    control::v1::PullProgress done;
    done.set_stage(control::v1::PullProgress::DONE);
    done.set_image_id(mailbox.result()->id);
    writer->Write(done);
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
