// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/archive.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/file.h"
#include "lib/oci/tar_reader.h"
#include "lib/oci/tar_writer.h"

namespace serai::oci {
namespace {

using Json = nlohmann::json;

constexpr char kBlobPrefix[] = "blobs/sha256/";
constexpr char kIndexName[] = "index.json";
constexpr char kDockerManifestName[] = "manifest.json";
// Where containerd and docker put the whole name; kAnnotationRefName then has
// only the tag.
constexpr char kAnnotationImageName[] = "io.containerd.image.name";
constexpr int kMaxIndexNesting = 3;
constexpr size_t kMaxImages = 256;

// "./a//b" and "/a/b" are "a/b"; nullopt when the path climbs.
std::optional<std::string> PlainName(absl::string_view path) {
  std::string result;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return std::nullopt;
    absl::StrAppend(&result, result.empty() ? "" : "/", part);
  }
  return result;
}

// What was read of an archive.
struct Contents {
  std::map<std::string, std::string> documents;  // index.json, manifest.json
  // Where each file went whose name is not its digest, for docker's archives.
  std::map<std::string, Descriptor> files;
  std::map<std::string, std::string> links;  // to files, resolved names
};

// The name that a link means. Docker's layers are links to "../<hex>/layer.tar"
// from one directory down; nothing else is needed, and a name that is wrong
// finds no file.
std::string LinkedName(const std::string& name, const TarEntry& entry) {
  const size_t slash = name.find('/');
  absl::string_view target = entry.target;
  if (entry.type == TarEntryType::kHardLink || slash == name.npos ||
      absl::ConsumePrefix(&target, "../")) {
    return std::string(target);
  }
  return JoinPath(name.substr(0, slash), target);
}

absl::Status CopyContent(TarReader& tar, BlobWriter& blob) {
  return tar.ReadContent([&](int64_t offset, absl::string_view data) {
    if (offset != blob.written()) {
      return absl::Status(absl::InvalidArgumentError("a file with holes"));
    }
    return blob.Write(data);
  });
}

absl::StatusOr<std::string> ReadDocument(TarReader& tar,
                                         const TarEntry& entry) {
  std::string text;
  RETURN_IF_ERROR(
      tar.ReadContent([&](int64_t, absl::string_view data) -> absl::Status {
        if (text.size() + data.size() > kMaxDocumentBytes) {
          return absl::InvalidArgumentError(
              absl::StrCat("longer than ", kMaxDocumentBytes, " bytes"));
        }
        text.append(data.data(), data.size());
        return absl::OkStatus();
      }),
      entry.path);
  return text;
}

// A file that is named by its digest, or (docker's archives) by something else.
absl::Status ReadFileEntry(TarReader& tar, const TarEntry& entry,
                           const std::string& name, const Layout& layout,
                           Contents& contents) {
  Digest expected;
  absl::string_view hex = name;
  if (absl::ConsumePrefix(&hex, kBlobPrefix)) {
    ASSIGN_OR_RETURN(expected, Digest::Parse(absl::StrCat("sha256:", hex)),
                     entry.path);
    // The content is passed over unread by the next entry.
    if (layout.HasBlob(expected)) return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(BlobWriter blob, layout.StartBlob(expected, entry.size));
  RETURN_IF_ERROR(CopyContent(tar, blob), entry.path);
  Descriptor& stored = contents.files[name];
  stored.size = blob.written();
  ASSIGN_OR_RETURN(stored.digest, blob.Commit(), entry.path);
  return absl::OkStatus();
}

absl::Status ReadEntry(TarReader& tar, const TarEntry& entry,
                       const Layout& layout, Contents& contents) {
  const std::optional<std::string> name = PlainName(entry.path);
  if (!name) {
    return absl::InvalidArgumentError(
        absl::StrCat("a name in the archive climbs: ", entry.path));
  }
  if (entry.type == TarEntryType::kSymlink ||
      entry.type == TarEntryType::kHardLink) {
    contents.links[*name] = LinkedName(*name, entry);
    return absl::OkStatus();
  }
  if (entry.type != TarEntryType::kFile) return absl::OkStatus();
  if (*name == kIndexName || *name == kDockerManifestName) {
    ASSIGN_OR_RETURN(contents.documents[*name], ReadDocument(tar, entry));
    return absl::OkStatus();
  }
  if (*name == "oci-layout" || *name == "repositories") {
    return absl::OkStatus();
  }
  return ReadFileEntry(tar, entry, *name, layout, contents);
}

absl::StatusOr<Contents> ReadEntries(int fd, const Layout& layout,
                                     const ArchiveLimits& limits) {
  ASSIGN_OR_RETURN(Decompressor stream,
                   Decompressor::Open(fd, limits.max_bytes));
  ASSIGN_OR_RETURN(const std::unique_ptr<TarReader> tar,
                   TarReader::Open([&stream] { return stream.Next(); }));
  Contents contents;
  TarEntry entry;
  for (size_t count = 0;; ++count) {
    ASSIGN_OR_RETURN(const bool more, tar->Next(&entry));
    if (!more) return contents;
    if (count == limits.max_entries) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the archive has more than ", limits.max_entries, " entries"));
    }
    RETURN_IF_ERROR(ReadEntry(*tar, entry, layout, contents));
  }
}

std::vector<std::string> NamesOf(const Descriptor& descriptor) {
  for (const char* key : {kAnnotationImageName, kAnnotationRefName}) {
    const auto it = descriptor.annotations.find(key);
    if (it != descriptor.annotations.end()) return {it->second};
  }
  return {};
}

// The manifest that an entry of an index leads to, through nested indexes.
absl::StatusOr<Descriptor> ResolveEntry(const Layout& layout,
                                        Descriptor entry) {
  for (int depth = 0; IsIndexMediaType(entry.media_type); ++depth) {
    if (depth == kMaxIndexNesting) {
      return absl::InvalidArgumentError("indexes nested too deep");
    }
    ASSIGN_OR_RETURN(const std::string text, layout.ReadBlob(entry.digest));
    ASSIGN_OR_RETURN(const Index index, ParseIndex(text));
    ASSIGN_OR_RETURN(entry, ChooseManifest(index));
  }
  if (!IsManifestMediaType(entry.media_type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", entry.media_type, "\" is no image"));
  }
  return entry;
}

bool IsForAnotherPlatform(const Descriptor& entry) {
  return entry.platform && (entry.platform->os != "linux" ||
                            entry.platform->architecture != HostArchitecture());
}

absl::StatusOr<std::vector<ArchiveImage>> ImagesOfIndex(
    const Layout& layout, const std::string& text) {
  ASSIGN_OR_RETURN(const Index index, ParseIndex(text), kIndexName);
  if (index.manifests.size() > kMaxImages) {
    return absl::InvalidArgumentError(
        absl::StrCat(kIndexName, ": more than ", kMaxImages, " images"));
  }
  std::vector<ArchiveImage> images;
  for (const Descriptor& entry : index.manifests) {
    if (index.manifests.size() > 1 && IsForAnotherPlatform(entry)) continue;
    ASSIGN_OR_RETURN(Descriptor manifest, ResolveEntry(layout, entry),
                     kIndexName, ": ", entry.digest.ToString());
    images.push_back({std::move(manifest), NamesOf(entry)});
  }
  return images;
}

absl::StatusOr<Descriptor> FileNamed(const Contents& contents,
                                     const Layout& layout, std::string name) {
  if (const auto link = contents.links.find(name);
      link != contents.links.end()) {
    name = link->second;
  }
  if (const auto it = contents.files.find(name); it != contents.files.end()) {
    return it->second;
  }
  // A blob that the layout had already.
  absl::string_view hex = name;
  if (absl::ConsumePrefix(&hex, kBlobPrefix)) {
    Descriptor found;
    ASSIGN_OR_RETURN(found.digest, Digest::Parse(absl::StrCat("sha256:", hex)));
    ASSIGN_OR_RETURN(found.size, layout.BlobSize(found.digest));
    return found;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the archive has no file ", name));
}

bool IsStringList(const Json& json) {
  return json.is_array() &&
         std::all_of(json.begin(), json.end(),
                     [](const Json& item) { return item.is_string(); });
}

// One element of docker's manifest.json: {"Config", "RepoTags", "Layers"}. The
// OCI manifest it stands for is made and stored.
absl::StatusOr<ArchiveImage> DockerImage(const Json& item,
                                         const Contents& contents,
                                         const Layout& layout) {
  if (!item.is_object() || !item.contains("Config") ||
      !item["Config"].is_string() || !item.contains("Layers") ||
      !IsStringList(item["Layers"])) {
    return absl::InvalidArgumentError("an image without Config or Layers");
  }
  if (item["Layers"].size() > kMaxLayers) {
    return absl::InvalidArgumentError("too many layers");
  }
  Manifest manifest;
  ASSIGN_OR_RETURN(manifest.config,
                   FileNamed(contents, layout, item["Config"]));
  manifest.config.media_type = kMediaTypeConfig;
  for (const Json& path : item["Layers"]) {
    ASSIGN_OR_RETURN(Descriptor layer, FileNamed(contents, layout, path));
    layer.media_type = kMediaTypeLayer;
    manifest.layers.push_back(std::move(layer));
  }
  ArchiveImage image;
  ASSIGN_OR_RETURN(image.manifest,
                   layout.WriteBlob(kMediaTypeManifest, ToJson(manifest)));
  if (item.contains("RepoTags") && IsStringList(item["RepoTags"])) {
    image.names = item["RepoTags"].get<std::vector<std::string>>();
  }
  return image;
}

absl::StatusOr<std::vector<ArchiveImage>> ImagesOfDocker(
    const Contents& contents, const Layout& layout, const std::string& text) {
  const auto limit_depth = [](int depth, Json::parse_event_t, Json&) {
    return depth <= kMaxDocumentDepth;
  };
  const Json json = Json::parse(text, limit_depth, /*allow_exceptions=*/false);
  if (!json.is_array() || json.size() > kMaxImages) {
    return absl::InvalidArgumentError(
        absl::StrCat(kDockerManifestName, " is not a list of images"));
  }
  std::vector<ArchiveImage> images;
  for (const Json& item : json) {
    ASSIGN_OR_RETURN(ArchiveImage image, DockerImage(item, contents, layout),
                     kDockerManifestName);
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace

absl::StatusOr<std::vector<ArchiveImage>> ReadArchive(
    int fd, const Layout& layout, const ArchiveLimits& limits) {
  ASSIGN_OR_RETURN(const Contents contents, ReadEntries(fd, layout, limits));
  std::vector<ArchiveImage> images;
  // An archive may have both; the OCI index says more.
  if (const auto it = contents.documents.find(kIndexName);
      it != contents.documents.end()) {
    ASSIGN_OR_RETURN(images, ImagesOfIndex(layout, it->second));
  } else if (const auto docker = contents.documents.find(kDockerManifestName);
             docker != contents.documents.end()) {
    ASSIGN_OR_RETURN(images, ImagesOfDocker(contents, layout, docker->second));
  } else {
    return absl::InvalidArgumentError(
        "no image archive: neither index.json nor manifest.json is in it");
  }
  if (images.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the archive has no image for linux/", HostArchitecture()));
  }
  return images;
}

absl::Status WriteArchive(const Layout& layout, const Index& index, int fd) {
  std::set<Digest> blobs;
  for (const Descriptor& entry : index.manifests) {
    ASSIGN_OR_RETURN(const std::string text, layout.ReadBlob(entry.digest));
    ASSIGN_OR_RETURN(const Manifest manifest, ParseManifest(text));
    blobs.insert(entry.digest);
    blobs.insert(manifest.config.digest);
    for (const Descriptor& layer : manifest.layers) blobs.insert(layer.digest);
  }
  TarWriter tar([fd](absl::string_view data) { return WriteAll(fd, data); });
  RETURN_IF_ERROR(tar.AddDirectory("blobs/"));
  RETURN_IF_ERROR(tar.AddDirectory(kBlobPrefix));
  for (const Digest& digest : blobs) {
    ASSIGN_OR_RETURN(const UniqueFd blob, layout.OpenBlob(digest));
    ASSIGN_OR_RETURN(const int64_t size, layout.BlobSize(digest));
    RETURN_IF_ERROR(tar.AddFile(absl::StrCat(kBlobPrefix, digest.hex()), 0644,
                                blob.get(), size));
  }
  RETURN_IF_ERROR(tar.AddFile(kIndexName, 0644, ToJson(index)));
  RETURN_IF_ERROR(tar.AddFile("oci-layout", 0644, kLayoutMarker));
  return tar.Finish();
}

}  // namespace serai::oci
