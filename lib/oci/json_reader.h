// SPDX-License-Identifier: Apache-2.0
#pragma once

// Readers for JSON documents of others: each takes what is there to `out`,
// leaves it as it is when the member is absent or null, and returns
// INVALID_ARGUMENT that says which member is wrong. `path` is the name of
// `object` with a dot behind it, for messages. Pure functions, any thread.

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

using Json = nlohmann::json;

// INVALID_ARGUMENT "<member> <what>".
absl::Status Bad(absl::string_view member, absl::string_view what);

// nullopt also for one that nests deeper than 64 levels.
std::optional<Json> ParseJson(absl::string_view text);

// The text. Bytes that are no UTF-8 (which JSON can't hold) become U+FFFD.
// `indent` -1: in one line.
std::string Dump(const Json& json, int indent);

// The member `key` of `object`; null when it is absent or null.
const Json* Member(const Json& object, const char* key);

// `out` is null when the member is absent.
absl::Status ReadObject(const Json& object, const std::string& path,
                        const char* key, const Json*& out);
// Refuses a NUL: everything that is read becomes a path, a name or an argument.
absl::Status ReadString(const Json& object, const std::string& path,
                        const char* key, std::string& out);
absl::Status ReadBool(const Json& object, const std::string& path,
                      const char* key, bool& out);
// Calls `read` with each entry of an array of objects, until one fails.
absl::Status ReadArray(const Json& object, const std::string& path,
                       const char* key,
                       absl::FunctionRef<absl::Status(const Json&)> read);

template <typename Int, typename Out>
absl::Status ReadInteger(const Json& object, const std::string& path,
                         const char* key, Out& out) {
  const Json* member = Member(object, key);
  if (member == nullptr) return absl::OkStatus();
  if (!member->is_number_integer()) return Bad(path + key, "is not an integer");
  if (member->is_number_unsigned()) {
    const auto value = member->get<uint64_t>();
    if (value > static_cast<uint64_t>(std::numeric_limits<Int>::max())) {
      return Bad(path + key, "is out of range");
    }
    out = static_cast<Int>(value);
    return absl::OkStatus();
  }
  const auto value = member->get<int64_t>();
  if constexpr (std::is_unsigned_v<Int>) {
    return Bad(path + key, "is negative");
  } else if (value < std::numeric_limits<Int>::min()) {
    return Bad(path + key, "is out of range");
  }
  out = static_cast<Int>(value);
  return absl::OkStatus();
}

}  // namespace serai::oci
