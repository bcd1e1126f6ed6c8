// SPDX-License-Identifier: Apache-2.0
#include "cni/json.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace serai::cni {
namespace {

using nlohmann::json;

constexpr size_t kMaxListLength = 64;
constexpr size_t kMaxPrintable = 1000;

// Walks a document without keeping it, so that its depth and its first error
// are known before anything is built.
class Inspector : public nlohmann::json_sax<json> {
 public:
  explicit Inspector(size_t max_depth) : max_depth_(max_depth) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(size_t) override { return Enter(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    position_ = position;
    return false;
  }

  bool too_deep() const { return depth_ > max_depth_; }
  size_t position() const { return position_; }

 private:
  bool Enter() { return ++depth_ <= max_depth_; }
  bool Leave() {
    --depth_;
    return true;
  }

  const size_t max_depth_;
  size_t depth_ = 0;
  size_t position_ = 0;  // of the error, counted from 1
};

absl::Status NotJson(absl::string_view text, size_t position) {
  const absl::string_view before =
      text.substr(0, position == 0 ? 0 : position - 1);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column = newline == absl::string_view::npos
                            ? before.size() + 1
                            : before.size() - newline;
  return absl::InvalidArgumentError(
      absl::StrCat("line ", line, ", column ", column, ": not JSON"));
}

absl::Status WrongType(absl::string_view key, absl::string_view type) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", key, "\" is not ", type));
}

bool IsPlain(const std::string& text) {
  return text.size() <= kMaxStringBytes &&
         std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
         });
}

}  // namespace

absl::StatusOr<json> ParseJson(absl::string_view text, size_t max_depth) {
  if (text.size() > kMaxJsonBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("longer than ", kMaxJsonBytes, " bytes"));
  }
  Inspector inspector(max_depth);
  if (!json::sax_parse(text.begin(), text.end(), &inspector)) {
    if (inspector.too_deep()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("nested deeper than ", max_depth, " levels"));
    }
    return NotJson(text, inspector.position());
  }
  return json::parse(text.begin(), text.end(), nullptr, false);
}

const json& Member(const json& object, absl::string_view key) {
  static const json null;
  if (!object.is_object()) return null;
  const auto it = object.find(std::string(key));
  return it == object.end() ? null : *it;
}

absl::StatusOr<std::string> StringField(const json& object,
                                        absl::string_view key) {
  const json& member = Member(object, key);
  if (member.is_null()) return std::string();
  const auto* text = member.get_ptr<const std::string*>();
  if (text == nullptr) return WrongType(key, "a string");
  if (!IsPlain(*text)) {
    return WrongType(key, "a string of at most 255 printable bytes");
  }
  return *text;
}

absl::StatusOr<std::vector<std::string>> StringListField(
    const json& object, absl::string_view key) {
  std::vector<std::string> list;
  const json& member = Member(object, key);
  if (member.is_null()) return list;
  if (!member.is_array() || member.size() > kMaxListLength) {
    return WrongType(key, "a list of at most 64 strings");
  }
  for (const json& element : member) {
    const auto* text = element.get_ptr<const std::string*>();
    if (text == nullptr || !IsPlain(*text)) {
      return WrongType(key, "a list of short strings");
    }
    list.push_back(*text);
  }
  return list;
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string Printable(absl::string_view text) {
  std::string line;
  for (const char c : text.substr(0, kMaxPrintable)) {
    const bool control = static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    if (!control) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  if (text.size() > kMaxPrintable) line += " …";
  return line;
}

}  // namespace serai::cni
