// SPDX-License-Identifier: Apache-2.0
#include "shim/bundle_notes.h"

#include <nlohmann/json.hpp>

#include "lib/base/file.h"
#include "lib/oci/runtime_spec.h"
#include "shim/options.h"

namespace serai::shim {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

// Who asks for several containers in one shim says so with the first of these;
// containerd's CRI plugin only has the second.
// The CRI plugin's word comes first: the other may be a pod author's.
constexpr const char* kGroupAnnotations[] = {oci::kSandboxIdAnnotation,
                                             "io.containerd.runc.v2.group"};

// The string at `path`; empty when there is none.
std::string StringAt(const Json& document,
                     std::initializer_list<const char*> path) {
  const Json* at = &document;
  for (const char* name : path) {
    if (!at->is_object()) return "";
    const auto found = at->find(name);
    if (found == at->end()) return "";
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<BundleNotes> ReadBundleNotes(const std::string& bundle) {
  BundleNotes notes;
  const std::string path = JoinPath(bundle, "config.json");
  const absl::StatusOr<std::string> text =
      ReadFile(path, oci::kMaxRuntimeSpecBytes);
  if (absl::IsNotFound(text.status())) return notes;
  RETURN_IF_ERROR(text.status());
  bool too_deep = false;
  const Json json = Json::parse(
      *text,
      [&](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kMaxDepth;
        return !too_deep;
      },
      false);
  if (too_deep || !json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no specification"));
  }
  notes.has_config = true;
  notes.cgroups_path = StringAt(json, {"linux", "cgroupsPath"});
  for (const char* annotation : kGroupAnnotations) {
    notes.group = StringAt(json, {"annotations", annotation});
    if (!notes.group.empty()) break;
  }
  if (!notes.group.empty() && !IsName(notes.group)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": \"", notes.group, "\" is no sandbox's id"));
  }
  return notes;
}

}  // namespace serai::shim
