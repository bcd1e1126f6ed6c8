// SPDX-License-Identifier: Apache-2.0
#pragma once

// Images made of given layers, for tests: in a layout, or as an archive.

#include <functional>
#include <string>
#include <vector>

#include "cri/image/store.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tar_file.h"

namespace serai::testing {

// The real unpacker, of the build tree.
inline serai::cri::UnpackerOptions Unpacking() {
  serai::cri::UnpackerOptions options;
  options.program = BuildDir() + "/bin/serai-unpack";
  return options;
}
inline serai::cri::ImageStoreOptions StoreOptions() {
  serai::cri::ImageStoreOptions options;
  options.unpacker = Unpacking();
  return options;
}

struct BuiltImage {
  oci::ImageConfig config;
  oci::Manifest manifest;
  oci::Descriptor descriptor;  // of the manifest
};

class ImageBuilder {
 public:
  ImageBuilder() {
    image_.config.architecture = std::string(oci::HostArchitecture());
    image_.config.os = "linux";
  }

  // What becomes of the config and the manifest's annotations.
  oci::ImageConfig& config() { return image_.config; }
  oci::StringMap& annotations() { return image_.manifest.annotations; }

  ImageBuilder& AddLayer(const std::vector<TarItem>& items,
                         Compression compression = Compression::kNone) {
    const std::string tar = MakeTar(items);
    return AddRawLayer(
        compression == Compression::kNone ? tar : MakeTar(items, compression),
        oci::DigestOf(tar),
        compression == Compression::kNone   ? oci::kMediaTypeLayer
        : compression == Compression::kGzip ? oci::kMediaTypeLayerGzip
                                            : oci::kMediaTypeLayerZstd);
  }
  // A layer that may lie about itself.
  ImageBuilder& AddRawLayer(std::string bytes, oci::Digest diff_id,
                            const char* media_type = oci::kMediaTypeLayer) {
    blobs_.push_back({std::move(bytes), media_type});
    image_.config.diff_ids.push_back(std::move(diff_id));
    return *this;
  }

  // Stores it all; the image gets no name. `keep`, which may be empty, is told
  // of each blob before.
  BuiltImage Build(
      const oci::Layout& layout,
      const std::function<void(const oci::Digest&)>& keep = nullptr) const {
    const auto store = [&](const char* media_type, const std::string& bytes) {
      if (keep) keep(oci::DigestOf(bytes));
      return *layout.WriteBlob(media_type, bytes);
    };
    BuiltImage image = image_;
    for (const auto& [bytes, media_type] : blobs_) {
      image.manifest.layers.push_back(store(media_type, bytes));
    }
    image.manifest.config =
        store(oci::kMediaTypeConfig, oci::ToJson(image.config));
    image.descriptor =
        store(oci::kMediaTypeManifest, oci::ToJson(image.manifest));
    return image;
  }

 private:
  BuiltImage image_;
  std::vector<std::pair<std::string, const char*>> blobs_;
};

}  // namespace serai::testing
