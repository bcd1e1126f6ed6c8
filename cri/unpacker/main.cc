// SPDX-License-Identifier: Apache-2.0
// serai-unpack: reads what strangers made, in a process that has nothing to
// lose (ADR 0016). seraid runs it; it is not for people.
//
//   serai-unpack layers MAX_BYTES MAX_ENTRIES [DIGEST DIFF_ID]…
//       Unpacks layers into a directory.
//   serai-unpack archive MAX_BYTES MAX_ENTRIES
//       Makes the directory an OCI layout with the blobs of an image archive,
//       and prints the images in it as an index: an entry for each name.
//
// Descriptor 3 is the directory, empty and the unpacker's own; 4 and up are the
// layers, or the archive. Exit status 1: the output is the number of an
// absl::StatusCode, a space and a message.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "cri/unpacker/jail.h"
#include "cri/unpacker/unpack.h"
#include "lib/base/file.h"
#include "lib/oci/archive.h"
#include "lib/oci/layout.h"

namespace serai::cri {
namespace {

constexpr int kDirectoryFd = 3;
constexpr int kFirstInputFd = 4;

struct Arguments {
  std::string mode;
  UnpackLimits limits;
  std::vector<Layer> layers;
};

absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& args) {
  Arguments parsed;
  const bool known =
      args.size() >= 3 && args.size() % 2 == 1 &&
      (args[0] == "layers" || (args[0] == "archive" && args.size() == 3));
  if (!known || !absl::SimpleAtoi(args[1], &parsed.limits.max_bytes) ||
      !absl::SimpleAtoi(args[2], &parsed.limits.max_entries) ||
      parsed.limits.max_bytes < 0) {
    return absl::InvalidArgumentError("serai-unpack is run by seraid alone");
  }
  parsed.mode = args[0];
  for (size_t i = 3; i < args.size(); i += 2) {
    Layer layer;
    layer.fd = kFirstInputFd + static_cast<int>(parsed.layers.size());
    ASSIGN_OR_RETURN(layer.digest, oci::Digest::Parse(args[i]));
    ASSIGN_OR_RETURN(layer.diff_id, oci::Digest::Parse(args[i + 1]));
    parsed.layers.push_back(std::move(layer));
  }
  return parsed;
}

// Gives each image an entry for each of its names, or one without a name.
oci::Index IndexOf(const std::vector<oci::ArchiveImage>& images) {
  oci::Index index;
  for (const oci::ArchiveImage& image : images) {
    oci::Descriptor entry = image.manifest;
    entry.annotations.clear();
    if (image.names.empty()) index.manifests.push_back(entry);
    for (const std::string& name : image.names) {
      entry.annotations[oci::kAnnotationRefName] = name;
      index.manifests.push_back(entry);
    }
  }
  return index;
}

absl::StatusOr<std::string> ReadArchive(const UnpackLimits& limits) {
  ASSIGN_OR_RETURN(const oci::Layout layout, oci::Layout::Create("."));
  ASSIGN_OR_RETURN(const std::vector<oci::ArchiveImage> images,
                   oci::ReadArchive(kFirstInputFd, layout,
                                    {limits.max_bytes, limits.max_entries}));
  return oci::ToJson(IndexOf(images));
}

absl::StatusOr<std::string> Run(const std::vector<std::string>& args) {
  ASSIGN_OR_RETURN(const Arguments parsed, ParseArguments(args));
  const bool is_archive = parsed.mode == "archive";
  const int inputs = is_archive ? 1 : static_cast<int>(parsed.layers.size());
  // The library's first hash reads its configuration.
  oci::DigestOf("");
  RETURN_IF_ERROR(EnterUnpackerJail(kDirectoryFd, kFirstInputFd + inputs - 1,
                                    parsed.limits.max_bytes),
                  "the unpacker's jail");
  if (is_archive) return ReadArchive(parsed.limits);
  RETURN_IF_ERROR(UnpackLayers(parsed.layers, ".", parsed.limits));
  return "";
}

}  // namespace
}  // namespace serai::cri

int main(int argc, char** argv) {
  const auto output =
      serai::cri::Run(std::vector<std::string>(argv + 1, argv + argc));
  const std::string text =
      output.ok() ? *output
                  : absl::StrCat(static_cast<int>(output.status().code()), " ",
                                 output.status().message());
  const bool told = serai::WriteAll(STDOUT_FILENO, text).ok();
  return output.ok() && told ? 0 : 1;
}
