// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/pack.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/tar_writer.h"
#include "lib/solo5/unikernel.h"

namespace serai::oci {
namespace {

constexpr uint32_t kFileMode = 0755;

struct Input {
  std::string file;    // on this machine
  std::string target;  // "hvt"
  UniqueFd fd;
  int64_t size = 0;

  std::string Name() const { return absl::StrCat("app.", target); }
  std::string Path() const { return absl::StrCat("/", Name()); }
};

absl::StatusOr<Input> OpenInput(const std::string& file) {
  Input input;
  input.file = file;
  ASSIGN_OR_RETURN(input.fd, OpenFile(file, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  solo5::Unikernel unikernel;
  solo5::Error error;
  if (!solo5::ReadUnikernel(input.fd.get(), &unikernel, &error)) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.message));
  }
  input.target = solo5::TargetName(unikernel.target);
  struct stat st = {};
  if (::fstat(input.fd.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", file));
  }
  input.size = st.st_size;
  return input;
}

absl::StatusOr<std::vector<Input>> OpenInputs(
    const std::vector<std::string>& files) {
  if (files.empty()) return absl::InvalidArgumentError("no file to pack");
  std::vector<Input> inputs;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(Input input, OpenInput(file));
    for (const Input& other : inputs) {
      if (other.target == input.target) {
        return absl::InvalidArgumentError(
            absl::StrCat(other.file, " and ", input.file, " are both for ",
                         input.target, "; an image holds one file per target"));
      }
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// The layer is uncompressed, so its digest is its diff id too.
absl::StatusOr<Descriptor> WriteLayer(const std::vector<Input>& inputs,
                                      const Layout& layout) {
  ASSIGN_OR_RETURN(BlobWriter blob, layout.StartBlob(Digest(), -1));
  TarWriter tar([&blob](absl::string_view data) { return blob.Write(data); });
  for (const Input& input : inputs) {
    RETURN_IF_ERROR(
        tar.AddFile(input.Name(), kFileMode, input.fd.get(), input.size),
        input.file);
  }
  RETURN_IF_ERROR(tar.Finish());
  Descriptor layer;
  layer.media_type = kMediaTypeLayer;
  layer.size = blob.written();
  ASSIGN_OR_RETURN(layer.digest, blob.Commit());
  return layer;
}

StringMap UnikernelNames(const std::vector<Input>& inputs) {
  StringMap names = {{kAnnotationUnikernel, inputs[0].Path()}};
  for (const Input& input : inputs) {
    names[absl::StrCat(kAnnotationUnikernel, ".", input.target)] = input.Path();
  }
  return names;
}

}  // namespace

absl::StatusOr<int64_t> CreationTime() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr) return 0;
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(text, &seconds) || seconds < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SOURCE_DATE_EPOCH=", text, " is not a number of seconds"));
  }
  return seconds;
}

absl::StatusOr<Descriptor> Pack(const std::vector<std::string>& files,
                                const PackOptions& options,
                                const Layout& layout) {
  ASSIGN_OR_RETURN(const std::vector<Input> inputs, OpenInputs(files));
  Manifest manifest;
  ASSIGN_OR_RETURN(Descriptor layer, WriteLayer(inputs, layout));
  const StringMap names = UnikernelNames(inputs);

  ImageConfig config;
  config.architecture = std::string(HostArchitecture());
  config.os = "linux";
  config.created = absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ",
                                    absl::FromUnixSeconds(options.created),
                                    absl::UTCTimeZone());
  config.entrypoint = {inputs[0].Path()};
  config.cmd = options.args;
  config.labels = names;
  config.diff_ids = {layer.digest};

  ASSIGN_OR_RETURN(manifest.config,
                   layout.WriteBlob(kMediaTypeConfig, ToJson(config)));
  manifest.layers = {std::move(layer)};
  manifest.annotations = names;
  manifest.annotations[kAnnotationCreated] = config.created;
  ASSIGN_OR_RETURN(Descriptor result,
                   layout.WriteBlob(kMediaTypeManifest, ToJson(manifest)));
  result.platform = Platform{config.architecture, config.os, ""};
  return result;
}

}  // namespace serai::oci
