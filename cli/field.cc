// SPDX-License-Identifier: Apache-2.0
#include "cli/field.h"

namespace serai::cli {

using nlohmann::json;

Field::Field(const json& value, absl::Status* error)
    : Field(&value, "", error) {}

Field::Field(const json* value, std::string path, absl::Status* error)
    : value_(value != nullptr && value->is_null() ? nullptr : value),
      path_(std::move(path)),
      error_(error) {}

void Field::Refuse(absl::string_view why) const {
  if (!error_->ok()) return;
  const std::string where = path_.empty() ? "the document" : path_;
  *error_ = absl::InvalidArgumentError(absl::StrCat(where, ": ", why));
}

void Field::RefuseIfSet(absl::string_view why) const {
  if (!present() || *value_ == false || *value_ == 0) return;
  const bool sized = value_->is_string() || value_->is_structured();
  if (value_->empty() || (sized && *value_ == "")) return;
  Refuse(why);
}

Field Field::operator[](const std::string& key) const {
  std::string path = path_.empty() ? key : absl::StrCat(path_, ".", key);
  if (!present()) return Field(nullptr, std::move(path), error_);
  if (!value_->is_object()) {
    Refuse("must be a map of fields");
    return Field(nullptr, std::move(path), error_);
  }
  const auto it = value_->find(key);
  return Field(it == value_->end() ? nullptr : &*it, std::move(path), error_);
}

std::vector<Field> Field::Items() const {
  std::vector<Field> items;
  if (!present()) return items;
  if (!value_->is_array()) {
    Refuse("must be a list");
    return items;
  }
  for (const json& item : *value_) {
    items.push_back(
        Field(&item, absl::StrCat(path_, "[", items.size(), "]"), error_));
  }
  return items;
}

std::vector<std::pair<std::string, Field>> Field::Entries() const {
  std::vector<std::pair<std::string, Field>> entries;
  if (!present()) return entries;
  if (!value_->is_object()) {
    Refuse("must be a map of fields");
    return entries;
  }
  for (auto it = value_->begin(); it != value_->end(); ++it) {
    entries.emplace_back(
        it.key(),
        Field(&it.value(), absl::StrCat(path_, ".", it.key()), error_));
  }
  return entries;
}

std::string Field::String(absl::string_view fallback) const {
  if (!present()) return std::string(fallback);
  if (!value_->is_string()) {
    Refuse("must be a string (a number or a boolean needs quotes)");
    return std::string(fallback);
  }
  auto text = value_->get<std::string>();
  if (text.find('\0') != std::string::npos) {
    Refuse("holds a NUL character");
    return std::string(fallback);
  }
  return text;
}

bool Field::Bool(bool fallback) const {
  if (!present()) return fallback;
  if (!value_->is_boolean()) {
    Refuse("must be true or false");
    return fallback;
  }
  return value_->get<bool>();
}

int64_t Field::Int(int64_t fallback, int64_t least, int64_t most) const {
  if (!present()) return fallback;
  const bool whole = value_->is_number_integer();
  const int64_t value = whole ? value_->get<int64_t>() : 0;
  if (!whole || value < least || value > most) {
    Refuse(absl::StrCat("must be a whole number from ", least, " to ", most));
    return fallback;
  }
  return value;
}

std::string Field::Quantity() const {
  if (present() && value_->is_number()) return value_->dump();
  return String();
}

std::vector<std::string> Field::Strings() const {
  std::vector<std::string> strings;
  for (const Field& item : Items()) {
    if (!item.present()) item.Refuse("must be a string");
    strings.push_back(item.String());
  }
  return strings;
}

}  // namespace serai::cli
