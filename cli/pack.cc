// SPDX-License-Identifier: Apache-2.0
// serai pack: unikernels to an OCI image.

#include "lib/oci/pack.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "cli/command.h"
#include "cli/output.h"
#include "lib/base/file.h"
#include "lib/oci/archive.h"
#include "lib/oci/layout.h"
#include "lib/oci/reference.h"
#include "lib/oci/registry/client.h"

namespace serai::cli {
namespace {

struct PackCommand {
  std::vector<std::string> files;
  std::vector<std::string> blocks;   // DEVICE=FILE
  std::vector<std::string> volumes;  // DEVICE or DEVICE=HINT
  std::string name;
  std::string archive;
  std::string layout;
  bool push = false;
  std::string user;
  bool password_stdin = false;
  std::string registry_config = "/etc/containerd/certs.d";
};

// Writes to a file beside `path` and renames, so that a failure leaves nothing
// that looks like an archive.
absl::Status WriteArchiveFile(const oci::Layout& layout,
                              const std::string& path) {
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("making ", path));
  absl::Cleanup remove = [&] { RemovePath(temporary).IgnoreError(); };
  ASSIGN_OR_RETURN(const oci::Index index, layout.ReadIndex());
  RETURN_IF_ERROR(oci::WriteArchive(layout, index, fd.get()), path);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(fd.get(), 0666 & ~mask) != 0 || ::fsync(fd.get()) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("writing ", path));
  }
  std::move(remove).Cancel();
  return absl::OkStatus();
}

// "DEVICE=VALUE" of an option's occurrences.
absl::StatusOr<std::map<std::string, std::string>> ByDevice(
    const std::vector<std::string>& words, const std::string& option,
    const char* without_value) {
  std::map<std::string, std::string> values;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    const std::string device = word.substr(0, equals);
    std::string value =
        equals == std::string::npos ? without_value : word.substr(equals + 1);
    if (device.empty() || value.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(option, " ", word, ": must be DEVICE=VALUE"));
    }
    if (!values.emplace(device, std::move(value)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(option, " ", word, ": the device is given twice"));
    }
  }
  return values;
}

absl::StatusOr<oci::Descriptor> PackInto(const oci::Layout& layout,
                                         const Invocation& invocation,
                                         const PackCommand& command,
                                         const oci::Reference& reference) {
  oci::PackOptions options;
  options.args = invocation.trailing;
  ASSIGN_OR_RETURN(options.blocks, ByDevice(command.blocks, "--block", ""));
  ASSIGN_OR_RETURN(options.volumes,
                   ByDevice(command.volumes, "--volume", "a volume"));
  ASSIGN_OR_RETURN(options.created, oci::CreationTime());
  ASSIGN_OR_RETURN(oci::Descriptor manifest,
                   oci::Pack(command.files, options, layout));
  RETURN_IF_ERROR(layout.AddManifest(manifest, reference.Tagged()));
  return manifest;
}

// Calls `use` with a layout that is gone afterwards.
absl::Status WithTemporaryLayout(
    const std::function<absl::Status(const oci::Layout&)>& use) {
  const char* base = std::getenv("TMPDIR");
  std::string directory = JoinPath(
      base == nullptr || *base == '\0' ? "/tmp" : base, "serai-pack.XXXXXX");
  if (::mkdtemp(directory.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("making ", directory));
  }
  const auto run = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const auto layout, oci::Layout::Create(directory));
    return use(layout);
  };
  absl::Status status = run();
  return FirstError(std::move(status), RemoveTree(directory));
}

absl::Status PushImage(Invocation& invocation, const PackCommand& command,
                       const oci::Layout& layout,
                       const oci::Descriptor& manifest,
                       const oci::Reference& reference) {
  oci::Credentials credentials;
  if (!command.user.empty()) {
    credentials.username = command.user;
    ASSIGN_OR_RETURN(credentials.password, ReadPassword(invocation.in));
  }
  oci::RegistryOptions options;
  options.config_path = command.registry_config;
  return Annotate(oci::Push(layout, manifest, reference, credentials, options,
                            [] { return false; }),
                  absl::StrCat("pushing ", reference.Familiar()));
}

absl::StatusOr<oci::Descriptor> Produce(Invocation& invocation,
                                        const PackCommand& command,
                                        const oci::Reference& reference) {
  if (!command.layout.empty()) {
    ASSIGN_OR_RETURN(const auto layout, oci::Layout::Create(command.layout));
    return PackInto(layout, invocation, command, reference);
  }
  oci::Descriptor manifest;
  RETURN_IF_ERROR(
      WithTemporaryLayout([&](const oci::Layout& layout) -> absl::Status {
        ASSIGN_OR_RETURN(manifest,
                         PackInto(layout, invocation, command, reference));
        if (command.push) {
          return PushImage(invocation, command, layout, manifest, reference);
        }
        return WriteArchiveFile(layout, command.archive);
      }));
  return manifest;
}

absl::StatusOr<int> Pack(Invocation& invocation, const PackCommand& command) {
  ASSIGN_OR_RETURN(const auto reference, oci::Reference::Parse(command.name));
  if (reference.digest().has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--tag ", command.name, ": an image is named before it has a digest"));
  }
  ASSIGN_OR_RETURN(const auto manifest,
                   Produce(invocation, command, reference));
  if (invocation.json()) {
    PrintJson(invocation.out, {{"reference", reference.Tagged()},
                               {"digest", manifest.digest.ToString()}});
  } else {
    invocation.out << reference.Tagged() << ' ' << manifest.digest.ToString()
                   << '\n';
  }
  return 0;
}

}  // namespace

void AddPackCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& pack = *app.add_subcommand(
      "pack",
      "Make an OCI image of unikernels; what follows -- are the guest's "
      "arguments");
  const auto command = std::make_shared<PackCommand>();
  pack.add_option("FILE", command->files,
                  "Solo5 unikernels, one for each target")
      ->required();
  pack.add_option("-t,--tag", command->name, "the image's name")
      ->required()
      ->type_name("NAME[:TAG]");
  pack.add_option("--block", command->blocks,
                  "a disk image that goes into the image, read-only")
      ->allow_extra_args(false)
      ->type_name("DEVICE=FILE");
  pack.add_option("--volume", command->volumes,
                  "a device that wants a volume, and what kind: configMap, "
                  "emptyDir 1Gi, …")
      ->allow_extra_args(false)
      ->type_name("DEVICE[=KIND]");
  auto* where = pack.add_option_group("where to");
  where
      ->add_option("--archive", command->archive,
                   "write a tar, as serai load reads it")
      ->type_name("FILE");
  where->add_option("--layout", command->layout, "add to an OCI layout")
      ->type_name("DIR");
  where->add_flag("--push", command->push, "push to the name's registry");
  where->require_option(1);
  AddLoginOptions(pack, command->user, command->password_stdin);
  pack.add_option("--registry-config", command->registry_config,
                  "directory of hosts.toml files")
      ->type_name("DIR")
      ->capture_default_str();
  AddOutputOption(pack, invocation);
  pack.callback([&invocation, command] {
    invocation.takes_trailing = true;
    invocation.action = [&invocation, command] {
      return Pack(invocation, *command);
    };
  });
}

}  // namespace serai::cli
