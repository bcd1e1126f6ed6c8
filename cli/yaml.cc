// SPDX-License-Identifier: Apache-2.0
#include "cli/yaml.h"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace serai::cli {
namespace {

using nlohmann::json;

absl::Status At(const YAML::Mark& mark, absl::string_view what) {
  if (mark.is_null()) return absl::InvalidArgumentError(what);
  return absl::InvalidArgumentError(absl::StrCat(
      "line ", mark.line + 1, ", column ", mark.column + 1, ": ", what));
}

template <typename T>
bool WholeNumber(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end;
}

json PlainScalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" ||
      text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t whole = 0;
  if (WholeNumber(text, whole)) return whole;
  double number = 0;
  const bool numeric =
      text.find_first_not_of("+-.0123456789eE") == std::string::npos;
  if (numeric && WholeNumber(text, number) && std::isfinite(number)) {
    return number;
  }
  return text;
}

// yaml-cpp gives a quoted scalar the tag "!" and a plain one "?".
json Scalar(const YAML::Node& node) {
  if (node.Tag() == "?") return PlainScalar(node.Scalar());
  return node.Scalar();
}

// Copies a tree of nodes, an alias as often as it is used: what bounds a small
// text that expands to a large one (or to itself) is the budget of values.
class Copier {
 public:
  absl::StatusOr<json> Copy(const YAML::Node& node, int depth) {
    if (depth > kMaxYamlDepth) {
      return At(node.Mark(),
                absl::StrCat("is nested more than ", kMaxYamlDepth, " deep"));
    }
    if (--budget_ < 0) {
      return At(node.Mark(),
                absl::StrCat("more than ", kMaxYamlValues, " values"));
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return Scalar(node);
      case YAML::NodeType::Sequence:
        return CopySequence(node, depth);
      case YAML::NodeType::Map:
        return CopyMap(node, depth);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined:
        break;
    }
    return json(nullptr);
  }

 private:
  absl::StatusOr<json> CopySequence(const YAML::Node& node, int depth) {
    json array = json::array();
    for (const YAML::Node& item : node) {
      ASSIGN_OR_RETURN(json value, Copy(item, depth + 1));
      array.push_back(std::move(value));
    }
    return array;
  }

  absl::StatusOr<json> CopyMap(const YAML::Node& node, int depth) {
    json object = json::object();
    for (const auto& entry : node) {
      const YAML::Node& key = entry.first;
      if (!key.IsScalar()) return At(key.Mark(), "a key must be a word");
      const std::string& name = key.Scalar();
      if (name == "<<") return At(key.Mark(), "merge keys are not supported");
      if (object.contains(name)) {
        return At(key.Mark(), absl::StrCat("\"", name, "\" is given twice"));
      }
      ASSIGN_OR_RETURN(json value, Copy(entry.second, depth + 1));
      object[name] = std::move(value);
    }
    return object;
  }

  int budget_ = kMaxYamlValues;
};

}  // namespace

absl::StatusOr<json> ParseYaml(absl::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("is longer than ", kMaxYamlBytes, " bytes"));
  }
  // yaml-cpp itself ends its recursion at 500 levels ("bad file").
  try {
    Copier copier;
    std::vector<json> documents;
    for (const YAML::Node& node : YAML::LoadAll(std::string(text))) {
      if (node.IsNull()) continue;
      ASSIGN_OR_RETURN(json document, copier.Copy(node, 0));
      documents.push_back(std::move(document));
    }
    if (documents.empty()) return absl::InvalidArgumentError("is empty");
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("holds ", documents.size(), " documents, not one"));
    }
    return std::move(documents.front());
  } catch (const YAML::Exception& error) {
    return At(error.mark, absl::StrCat("is not YAML: ", error.msg));
  }
}

}  // namespace serai::cli
