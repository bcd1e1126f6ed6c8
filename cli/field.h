// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads a tree of JSON values field by field, knowing the path of each
// ("spec.containers[0].image"). The first thing that is wrong is kept, with its
// path, in the reader; after it, fields read as absent. So a parser is a plain
// list of fields, and asks once at its end whether all was well.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "nlohmann/json.hpp"

namespace serai::cli {

// One field. Borrows the tree and the status that it was made with.
class Field {
 public:
  // The root of `value`; errors go to `*error`, the first one stays.
  Field(const nlohmann::json& value, absl::Status* error);

  const std::string& path() const { return path_; }
  // Whether there is a value; null counts as none.
  bool present() const { return value_ != nullptr; }

  // The field `key` of an object.
  Field operator[](const std::string& key) const;
  // The items of an array, and the fields of an object. Empty when absent.
  std::vector<Field> Items() const;
  std::vector<std::pair<std::string, Field>> Entries() const;

  // The value, or `fallback` when absent; an error when it is of another type.
  std::string String(absl::string_view fallback = "") const;
  bool Bool(bool fallback) const;
  // Also an error when it is not in [least, most].
  int64_t Int(int64_t fallback, int64_t least, int64_t most) const;
  // A string, or a number as it would be written: what a quantity may be.
  std::string Quantity() const;
  std::vector<std::string> Strings() const;

  // Records "<path>: <why>" as the error.
  void Refuse(absl::string_view why) const;
  // The same if the field is there and is not false, 0, "", [] or {}.
  void RefuseIfSet(absl::string_view why) const;
  // Takes the value of a call on this field's text, or records its error.
  template <typename T>
  T Take(absl::StatusOr<T> result, T fallback) const {
    if (result.ok()) return *std::move(result);
    Refuse(result.status().message());
    return fallback;
  }

 private:
  Field(const nlohmann::json* value, std::string path, absl::Status* error);

  const nlohmann::json* value_;
  std::string path_;
  absl::Status* error_;
};

}  // namespace serai::cli
