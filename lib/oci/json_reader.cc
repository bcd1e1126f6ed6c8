// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/json_reader.h"

#include "absl/strings/str_cat.h"

namespace serai::oci {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

absl::Status Bad(absl::string_view member, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(member, " ", what));
}

std::optional<Json> ParseJson(absl::string_view text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  Json json =
      Json::parse(text.data(), text.data() + text.size(), watch_depth, false);
  if (too_deep || json.is_discarded()) return std::nullopt;
  return json;
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

const Json* Member(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return nullptr;
  return &*found;
}

absl::Status ReadObject(const Json& object, const std::string& path,
                        const char* key, const Json*& out) {
  out = Member(object, key);
  if (out != nullptr && !out->is_object()) {
    return Bad(path + key, "is not an object");
  }
  return absl::OkStatus();
}

absl::Status ReadString(const Json& object, const std::string& path,
                        const char* key, std::string& out) {
  const Json* member = Member(object, key);
  if (member == nullptr) return absl::OkStatus();
  if (!member->is_string()) return Bad(path + key, "is not a string");
  out = member->get_ref<const std::string&>();
  if (out.find('\0') != std::string::npos) {
    return Bad(path + key, "has a NUL in it");
  }
  return absl::OkStatus();
}

absl::Status ReadBool(const Json& object, const std::string& path,
                      const char* key, bool& out) {
  const Json* member = Member(object, key);
  if (member == nullptr) return absl::OkStatus();
  if (!member->is_boolean()) return Bad(path + key, "is not true or false");
  out = member->get<bool>();
  return absl::OkStatus();
}

absl::Status ReadArray(const Json& object, const std::string& path,
                       const char* key,
                       absl::FunctionRef<absl::Status(const Json&)> read) {
  const Json* array = Member(object, key);
  if (array == nullptr) return absl::OkStatus();
  if (!array->is_array()) return Bad(path + key, "is not an array");
  for (const Json& entry : *array) {
    if (!entry.is_object()) return Bad(path + key, "has what is no object");
    RETURN_IF_ERROR(read(entry));
  }
  return absl::OkStatus();
}

}  // namespace serai::oci
