// SPDX-License-Identifier: Apache-2.0
#include "cri/image/unpacker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "cri/image/adopt.h"
#include "cri/unpacker/jail.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"

namespace serai::cri {
namespace {

constexpr size_t kMaxMessage = 2048;
constexpr int kToldExit = 1;
constexpr int kSignalExit = 128;

// What the child says is no more trusted than what it read.
std::string Harmless(absl::string_view text) {
  std::string result(text.substr(0, kMaxMessage));
  std::replace_if(
      result.begin(), result.end(),
      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); },
      '?');
  return result;
}

bool IsOfContent(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kDataLoss ||
         code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kFailedPrecondition;
}

absl::Status Failure(const SubprocessResult& result) {
  if (result.exit_code > kSignalExit) {
    return absl::InternalError(absl::StrCat("the unpacker died of signal ",
                                            result.exit_code - kSignalExit));
  }
  const absl::string_view output = result.output;
  const size_t space = output.find(' ');
  int number = 0;
  if (result.exit_code != kToldExit || space == output.npos ||
      !absl::SimpleAtoi(output.substr(0, space), &number)) {
    return absl::InternalError(absl::StrCat("the unpacker ended with status ",
                                            result.exit_code, ": ",
                                            Harmless(result.error_output)));
  }
  const auto code = static_cast<absl::StatusCode>(number);
  return absl::Status(IsOfContent(code) ? code : absl::StatusCode::kInternal,
                      Harmless(output.substr(space + 1)));
}

// A failure to run the child at all, in codes that don't blame a registry.
absl::Status RunFailure(const absl::Status& status) {
  if (absl::IsCancelled(status)) return status;
  const bool too_slow = absl::IsDeadlineExceeded(status);
  return absl::Status(too_slow ? absl::StatusCode::kResourceExhausted
                               : absl::StatusCode::kInternal,
                      absl::StrCat("unpacking: ", status.message()));
}

bool IsRealDirectory(const std::string& path) {
  struct stat st = {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// Moves the child's blobs into `layout`.
absl::Status TakeBlobs(const std::string& scratch, const oci::Layout& layout,
                       const Unpacker::Keep& keep) {
  const std::string blobs = JoinPath(scratch, "blobs");
  const std::string directory = JoinPath(blobs, "sha256");
  if (!IsRealDirectory(blobs) || !IsRealDirectory(directory)) {
    return absl::InternalError("the unpacker left no layout");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  for (const std::string& name : names) {
    const auto digest = oci::Digest::Parse(absl::StrCat("sha256:", name));
    if (!digest.ok()) continue;
    keep(*digest);
    RETURN_IF_ERROR(layout.TakeBlob(*digest, JoinPath(directory, name)));
  }
  return absl::OkStatus();
}

// The other way round than the child's IndexOf().
std::vector<oci::ArchiveImage> ImagesOf(const oci::Index& index) {
  std::vector<oci::ArchiveImage> images;
  for (oci::Descriptor entry : index.manifests) {
    const auto name = entry.annotations.find(oci::kAnnotationRefName);
    std::vector<std::string> names;
    if (name != entry.annotations.end()) names.push_back(name->second);
    entry.annotations.clear();
    if (!images.empty() && images.back().manifest.digest == entry.digest) {
      auto& more = images.back().names;
      more.insert(more.end(), names.begin(), names.end());
    } else {
      images.push_back({std::move(entry), std::move(names)});
    }
  }
  return images;
}

}  // namespace

absl::StatusOr<std::string> Unpacker::Run(std::vector<std::string> args,
                                          const std::string& directory,
                                          const std::vector<int>& inputs,
                                          const Cancelled& cancelled) const {
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (::geteuid() == 0 &&
      ::fchown(root.get(), kUnpackerUser, kUnpackerUser) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chown ", directory));
  }
  SubprocessSpec spec;
  spec.program = options_.program;
  spec.args = std::move(args);
  spec.timeout = options_.timeout;
  spec.cancelled = cancelled;
  spec.descriptors = {root.get()};
  spec.descriptors.insert(spec.descriptors.end(), inputs.begin(), inputs.end());
  absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  if (!result.ok()) return RunFailure(result.status());
  if (result->exit_code != 0) return Failure(*result);
  return std::move(result->output);
}

absl::Status Unpacker::UnpackLayers(const oci::Layout& layout,
                                    const oci::Manifest& manifest,
                                    const oci::ImageConfig& config,
                                    const std::string& directory,
                                    const Cancelled& cancelled) const {
  if (manifest.layers.size() != config.diff_ids.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the manifest has ", manifest.layers.size(), " layers, the config ",
        config.diff_ids.size(), " diff ids"));
  }
  std::vector<std::string> args = {"layers",
                                   absl::StrCat(options_.image.max_bytes),
                                   absl::StrCat(options_.image.max_entries)};
  std::vector<UniqueFd> blobs;
  std::vector<int> inputs;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const oci::Descriptor& layer = manifest.layers[i];
    if (!oci::IsLayerMediaType(layer.media_type)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", layer.media_type, "\" is no layer"));
    }
    ASSIGN_OR_RETURN(UniqueFd blob, layout.OpenBlob(layer.digest));
    inputs.push_back(blob.get());
    blobs.push_back(std::move(blob));
    args.push_back(layer.digest.ToString());
    args.push_back(config.diff_ids[i].ToString());
  }
  RETURN_IF_ERROR(Run(std::move(args), directory, inputs, cancelled).status());
  RETURN_IF_ERROR(AdoptTree(directory));
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY));
  if (::syncfs(root.get()) != 0) return ErrnoStatus(errno, "syncfs");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<oci::ArchiveImage>> Unpacker::ReadArchive(
    int fd, const std::string& scratch, const oci::Layout& layout,
    const Keep& keep, const Cancelled& cancelled) const {
  ASSIGN_OR_RETURN(const std::string printed,
                   Run({"archive", absl::StrCat(options_.archive.max_bytes),
                        absl::StrCat(options_.archive.max_entries)},
                       scratch, {fd}, cancelled));
  ASSIGN_OR_RETURN(const oci::Index index, oci::ParseIndex(printed),
                   "the unpacker's answer");
  RETURN_IF_ERROR(TakeBlobs(scratch, layout, keep));
  return ImagesOf(index);
}

}  // namespace serai::cri
