// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cri/image/store.h"
#include "lib/base/file.h"
#include "lib/oci/archive.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {

using testing::BuiltImage;
using testing::HasStatus;
using testing::ImageBuilder;

inline oci::Reference Ref(const std::string& text) {
  return *oci::Reference::Parse(text);
}

inline ImageBuilder Simple(const std::string& content) {
  ImageBuilder builder;
  builder.AddLayer({{"file", content}});
  return builder;
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Reopen();
    store_->Restore({});
  }

  void Reopen() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_, ImageStore::Open(root_, options_));
  }

  // As a pull does it.
  absl::StatusOr<Image> Pull(const std::string& name,
                             const ImageBuilder& builder) {
    ImageStore::Lease lease = store_->AcquireLease();
    const BuiltImage image =
        builder.Build(store_->layout(),
                      [&](const oci::Digest& digest) { lease.Keep(digest); });
    return store_->Put(Ref(name), image.descriptor, image.descriptor.digest);
  }

  // An archive of one image under `name`.
  std::string Archive(const ImageBuilder& builder, const std::string& name) {
    const testing::TempDir scratch;
    const absl::StatusOr<oci::Layout> layout =
        oci::Layout::Create(scratch / "layout");
    EXPECT_OK(layout->AddManifest(builder.Build(*layout).descriptor, name));
    return Written(*layout);
  }
  std::string Written(const oci::Layout& layout) {
    const std::string path = dir_ / "archive.tar";
    const absl::StatusOr<UniqueFd> fd =
        OpenFile(path, O_RDWR | O_CREAT | O_TRUNC);
    EXPECT_OK(oci::WriteArchive(layout, *layout.ReadIndex(), fd->get()));
    return path;
  }
  absl::StatusOr<std::vector<Image>> Import(
      const std::string& path,
      const std::optional<oci::Reference>& name = std::nullopt) {
    const absl::StatusOr<UniqueFd> fd = OpenFile(path, O_RDONLY);
    return store_->Import(fd->get(), name);
  }

  std::vector<std::string> Trees() { return *ListDir(root_ + "/unpacked"); }
  std::vector<std::string> Blobs() {
    return *ListDir(root_ + "/images/blobs/sha256");
  }
  void ExpectEmpty() {
    EXPECT_THAT(store_->List(), ::testing::IsEmpty());
    EXPECT_THAT(Blobs(), ::testing::IsEmpty());
    EXPECT_THAT(Trees(), ::testing::IsEmpty());
  }

  testing::TempDir dir_;
  const std::string root_ = dir_ / "store";
  ImageStoreOptions options_ = testing::StoreOptions();
  std::unique_ptr<ImageStore> store_;
};

}  // namespace serai::cri
