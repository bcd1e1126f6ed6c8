// SPDX-License-Identifier: Apache-2.0
// serai inspect: what a unikernel is and wants, from its file or its image.

#include <fcntl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pod_yaml.h"
#include "lib/base/file.h"
#include "lib/oci/manifest.h"
#include "lib/solo5/unikernel.h"

namespace serai::cli {
namespace {

using nlohmann::json;

bool IsRegularFile(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

absl::StatusOr<json> FileJson(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  solo5::Unikernel unikernel;
  solo5::Error error;
  if (!solo5::ReadUnikernel(fd.get(), &unikernel, &error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message));
  }
  json devices = json::array();
  for (const auto& device : unikernel.Devices()) {
    devices.push_back(
        {{"name", device.name}, {"type", solo5::DeviceTypeName(device.type)}});
  }
  return json{{"path", path},
              {"target", solo5::TargetName(unikernel.target)},
              {"abi", unikernel.abi_version},
              {"machine", std::string(oci::HostArchitecture())},
              {"devices", std::move(devices)},
              {"memory_floor_bytes", unikernel.lowest_memory}};
}

absl::StatusOr<json> ImageJson(Client& client, const std::string& name) {
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image(name);
  request.set_verbose(true);
  ASSIGN_OR_RETURN(const auto status, client.ImageStatus(request),
                   "looking for image ", name);
  if (!status.has_image()) {
    return absl::NotFoundError(
        absl::StrCat("there is no file and no image \"", name, "\""));
  }
  json result = {{"id", status.image().id()},
                 {"repo_tags", json::array()},
                 {"repo_digests", json::array()},
                 {"size", status.image().size()}};
  for (const auto& tag : status.image().repo_tags()) {
    result["repo_tags"].push_back(tag);
  }
  for (const auto& digest : status.image().repo_digests()) {
    result["repo_digests"].push_back(digest);
  }
  const auto info = status.info().find("image");
  if (info == status.info().end()) return result;
  json image = json::parse(info->second, nullptr, false);
  if (!image.is_object()) {
    return absl::DataLossError("the server's description is no JSON object");
  }
  if (image.contains("unikernels")) {
    result["unikernels"] = std::move(image["unikernels"]);
    image.erase("unikernels");
  }
  result["image"] = std::move(image);
  return result;
}

// A field of JSON that came from elsewhere, as text.
std::string Text(const json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) return "";
  const json& value = object[name];
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string DeviceList(const json& unikernel) {
  std::vector<std::string> devices;
  if (unikernel.is_object() && unikernel.contains("devices") &&
      unikernel["devices"].is_array()) {
    for (const json& device : unikernel["devices"]) {
      devices.push_back(
          absl::StrCat(Text(device, "name"), " (", Text(device, "type"), ")"));
    }
  }
  return absl::StrJoin(devices, ", ");
}

std::string Memory(const json& unikernel) {
  if (!unikernel.is_object() || !unikernel.contains("memory_floor_bytes") ||
      !unikernel["memory_floor_bytes"].is_number_unsigned()) {
    return "";
  }
  return HumanBytes(unikernel["memory_floor_bytes"].get<uint64_t>());
}

void PrintUnikernels(std::ostream& out, const json& unikernels) {
  Table table({"PATH", "TARGET", "ABI", "MEMORY FLOOR", "DEVICES"});
  for (const json& unikernel : unikernels) {
    table.Add({Text(unikernel, "path"), Text(unikernel, "target"),
               Text(unikernel, "abi"), Memory(unikernel),
               DeviceList(unikernel)});
  }
  table.Print(out);
}

void PrintImage(std::ostream& out, const json& image) {
  out << "id      " << Printable(Text(image, "id")) << '\n';
  for (const json& tag : image["repo_tags"]) {
    out << "name    " << Printable(tag.get<std::string>()) << '\n';
  }
  for (const json& digest : image["repo_digests"]) {
    out << "digest  " << Printable(digest.get<std::string>()) << '\n';
  }
  out << "size    " << HumanBytes(image["size"].get<uint64_t>()) << '\n';
  if (image.contains("image") && image["image"].contains("refused")) {
    for (const json& refused : image["image"]["refused"]) {
      out << "refused " << Printable(refused.dump()) << '\n';
    }
  }
  if (image.contains("unikernels")) {
    out << '\n';
    PrintUnikernels(out, image["unikernels"]);
  }
}

absl::StatusOr<int> InspectAsPod(Invocation& invocation,
                                 const std::string& what) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(const json image, ImageJson(*client, what));
  if (!image.contains("unikernels") || image["unikernels"].empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has no unikernel in it"));
  }
  invocation.out << PodYaml(image, what);
  return 0;
}

absl::StatusOr<int> Inspect(Invocation& invocation, const std::string& what) {
  const bool is_file = IsRegularFile(what);
  json result;
  if (is_file) {
    ASSIGN_OR_RETURN(result, FileJson(what));
  } else {
    ASSIGN_OR_RETURN(const auto client, invocation.Connect());
    ASSIGN_OR_RETURN(result, ImageJson(*client, what));
  }
  if (invocation.json()) {
    PrintJson(invocation.out, result);
  } else if (is_file) {
    PrintUnikernels(invocation.out, json::array({result}));
  } else {
    PrintImage(invocation.out, result);
  }
  return 0;
}

}  // namespace

void AddInspectCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand(
      "inspect", "Target, ABI, devices and memory of a unikernel");
  const auto what = std::make_shared<std::string>();
  command
      .add_option("FILE|IMAGE", *what,
                  "a unikernel's file, or an image that seraid has")
      ->required();
  const auto as_pod = std::make_shared<bool>(false);
  command.add_flag("--pod-yaml", *as_pod,
                   "print a Kubernetes manifest that runs the image");
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation, what, as_pod] {
    invocation.action = [&invocation, what, as_pod] {
      return *as_pod ? InspectAsPod(invocation, *what)
                     : Inspect(invocation, *what);
    };
  });
}

}  // namespace serai::cli
