// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/pack.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/tar_writer.h"
#include "lib/solo5/unikernel.h"

namespace serai::oci {
namespace {

constexpr uint32_t kFileMode = 0755;
constexpr uint32_t kBlockMode = 0644;

struct Input {
  std::string file;                  // on this machine
  std::string target;                // "hvt"
  std::vector<std::string> blocks;   // the block devices' names
  std::vector<std::string> devices;  // all of them, for messages
  UniqueFd fd;
  int64_t size = 0;

  std::string Name() const { return absl::StrCat("app.", target); }
  std::string Path() const { return absl::StrCat("/", Name()); }
};

absl::StatusOr<int64_t> SizeOf(int fd) {
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return ErrnoStatus(errno, "stat");
  return st.st_size;
}

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
  for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
    input.devices.push_back(
        absl::StrCat(entry.name, " (", solo5::DeviceTypeName(entry.type), ")"));
    if (entry.type == solo5::DeviceType::kBlock) {
      input.blocks.emplace_back(entry.name);
    }
  }
  ASSIGN_OR_RETURN(input.size, SizeOf(input.fd.get()), file);
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

// A disk that goes into the image.
struct Disk {
  std::string device;
  UniqueFd fd;
  int64_t size = 0;

  std::string Name() const { return absl::StrCat(device, ".img"); }
};

absl::Status CheckDevice(const std::vector<Input>& inputs,
                         const std::string& device) {
  for (const Input& input : inputs) {
    if (std::find(input.blocks.begin(), input.blocks.end(), device) !=
        input.blocks.end()) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        input.file, " has no block device \"", device,
        "\"; its manifest lists ",
        input.devices.empty() ? "none" : absl::StrJoin(input.devices, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Disk>> OpenDisks(const std::vector<Input>& inputs,
                                            const PackOptions& options) {
  std::vector<Disk> disks;
  for (const auto& [device, file] : options.blocks) {
    RETURN_IF_ERROR(CheckDevice(inputs, device));
    Disk disk;
    disk.device = device;
    ASSIGN_OR_RETURN(disk.fd, OpenFile(file, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    ASSIGN_OR_RETURN(disk.size, SizeOf(disk.fd.get()), file);
    if (disk.size == 0 || disk.size % solo5::kDefaultBlockSize != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          file, " has ", disk.size, " bytes, which is no multiple of the ",
          "block size, ", solo5::kDefaultBlockSize));
    }
    disks.push_back(std::move(disk));
  }
  for (const auto& [device, hint] : options.volumes) {
    RETURN_IF_ERROR(CheckDevice(inputs, device));
  }
  return disks;
}

// The layer is uncompressed, so its digest is its diff id too.
absl::StatusOr<Descriptor> WriteLayer(const std::vector<Input>& inputs,
                                      const std::vector<Disk>& disks,
                                      const Layout& layout) {
  ASSIGN_OR_RETURN(BlobWriter blob, layout.StartBlob(Digest(), -1));
  TarWriter tar([&blob](absl::string_view data) { return blob.Write(data); });
  for (const Input& input : inputs) {
    RETURN_IF_ERROR(
        tar.AddFile(input.Name(), kFileMode, input.fd.get(), input.size),
        input.file);
  }
  for (const Disk& disk : disks) {
    RETURN_IF_ERROR(
        tar.AddFile(disk.Name(), kBlockMode, disk.fd.get(), disk.size),
        "block device ", disk.device);
  }
  RETURN_IF_ERROR(tar.Finish());
  Descriptor layer;
  layer.media_type = kMediaTypeLayer;
  layer.size = blob.written();
  ASSIGN_OR_RETURN(layer.digest, blob.Commit());
  return layer;
}

StringMap Words(const std::vector<Input>& inputs,
                const std::vector<Disk>& disks, const PackOptions& options) {
  StringMap names = {{kAnnotationUnikernel, inputs[0].Path()}};
  for (const Input& input : inputs) {
    names[absl::StrCat(kAnnotationUnikernel, ".", input.target)] = input.Path();
  }
  for (const Disk& disk : disks) {
    names[kAnnotationBlock + disk.device] = absl::StrCat("/", disk.Name());
  }
  for (const auto& [device, hint] : options.volumes) {
    names[kAnnotationVolume + device] = hint;
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
  ASSIGN_OR_RETURN(const std::vector<Disk> disks, OpenDisks(inputs, options));
  ASSIGN_OR_RETURN(Descriptor layer, WriteLayer(inputs, disks, layout));
  const StringMap names = Words(inputs, disks, options);

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
