// SPDX-License-Identifier: Apache-2.0
#include "cri/containerd/client.h"

#include <chrono>
#include <utility>

#include "cri/rpc/socket.h"
#include "lib/oci/manifest.h"
#include "proto/containerd/content.grpc.pb.h"
#include "proto/containerd/images.grpc.pb.h"
#include "proto/containerd/snapshots.grpc.pb.h"

namespace serai::cri {
namespace {

namespace content = ::containerd::services::content::v1;
namespace images = ::containerd::services::images::v1;
namespace snapshots = ::containerd::services::snapshots::v1;

// Where containerd's CRI plugin has its images.
constexpr char kNamespace[] = "k8s.io";
constexpr std::chrono::seconds kCallTimeout(10);

// A call's context.
class Call {
 public:
  Call() {
    context_.AddMetadata("containerd-namespace", kNamespace);
    context_.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  }
  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
};

class Client final : public ContainerdClient {
 public:
  Client(const std::string& socket, std::shared_ptr<grpc::Channel> channel)
      : socket_(socket),
        images_(images::Images::NewStub(channel)),
        content_(content::Content::NewStub(channel)),
        snapshots_(snapshots::Snapshots::NewStub(channel)) {}

  absl::StatusOr<ImageName> GetName(const std::string& name) override {
    images::GetImageRequest request;
    request.set_name(name);
    images::GetImageResponse response;
    Call call;
    RETURN_IF_ERROR(Check(images_->Get(call.get(), request, &response)));
    return ToName(response.image());
  }

  absl::StatusOr<std::vector<ImageName>> ListNames(
      const std::string& filter) override {
    images::ListImagesRequest request;
    request.add_filters(filter);
    images::ListImagesResponse response;
    Call call;
    RETURN_IF_ERROR(Check(images_->List(call.get(), request, &response)));
    std::vector<ImageName> names;
    for (const images::Image& image : response.images()) {
      ASSIGN_OR_RETURN(ImageName name, ToName(image));
      names.push_back(std::move(name));
    }
    return names;
  }

  absl::StatusOr<std::string> ReadBlob(const oci::Digest& digest) override {
    content::ReadContentRequest request;
    request.set_digest(digest.ToString());
    Call call;
    const auto reader = content_->Read(call.get(), request);
    std::string blob;
    content::ReadContentResponse part;
    while (reader->Read(&part)) {
      if (part.data().size() > oci::kMaxDocumentBytes - blob.size()) {
        call.get()->TryCancel();
        (void)reader->Finish();
        return absl::ResourceExhaustedError(
            absl::StrCat("blob ", digest.ToString(), " is longer than ",
                         oci::kMaxDocumentBytes, " bytes"));
      }
      blob += part.data();
    }
    RETURN_IF_ERROR(Check(reader->Finish()), "blob ", digest.ToString());
    if (oci::DigestOf(blob) == digest) return blob;
    return absl::DataLossError(absl::StrCat("what containerd gives for blob ",
                                            digest.ToString(), " is another"));
  }

  absl::StatusOr<std::vector<ViewMount>> MakeView(
      const std::string& snapshotter, const std::string& key,
      const std::string& parent,
      const std::map<std::string, std::string>& labels) override {
    snapshots::ViewSnapshotRequest request;
    request.set_snapshotter(snapshotter);
    request.set_key(key);
    request.set_parent(parent);
    request.mutable_labels()->insert(labels.begin(), labels.end());
    snapshots::ViewSnapshotResponse response;
    Call call;
    RETURN_IF_ERROR(Check(snapshots_->View(call.get(), request, &response)));
    std::vector<ViewMount> mounts;
    for (const auto& mount : response.mounts()) {
      mounts.push_back({mount.type(),
                        mount.source(),
                        mount.target(),
                        {mount.options().begin(), mount.options().end()}});
    }
    return mounts;
  }

  absl::Status RemoveSnapshot(const std::string& snapshotter,
                              const std::string& key) override {
    snapshots::RemoveSnapshotRequest request;
    request.set_snapshotter(snapshotter);
    request.set_key(key);
    google::protobuf::Empty response;
    Call call;
    return Check(snapshots_->Remove(call.get(), request, &response));
  }

 private:
  // The codes are the same numbers.
  absl::Status Check(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    const auto code = static_cast<absl::StatusCode>(status.error_code());
    if (code == absl::StatusCode::kUnavailable ||
        code == absl::StatusCode::kDeadlineExceeded) {
      return absl::Status(
          code, absl::StrCat("containerd does not answer on ", socket_, ": ",
                             status.error_message()));
    }
    return absl::Status(code,
                        absl::StrCat("containerd: ", status.error_message()));
  }

  static absl::StatusOr<ImageName> ToName(const images::Image& image) {
    ASSIGN_OR_RETURN(oci::Digest target,
                     oci::Digest::Parse(image.target().digest()),
                     "containerd's image ", image.name());
    return ImageName{image.name(), std::move(target)};
  }

  const std::string socket_;
  const std::unique_ptr<images::Images::Stub> images_;
  const std::unique_ptr<content::Content::Stub> content_;
  const std::unique_ptr<snapshots::Snapshots::Stub> snapshots_;
};

}  // namespace

std::unique_ptr<ContainerdClient> NewContainerdClient(
    const std::string& socket) {
  return std::make_unique<Client>(socket, SocketChannel(socket));
}

}  // namespace serai::cri
