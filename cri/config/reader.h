// SPDX-License-Identifier: Apache-2.0
#pragma once

// A TOML document being read: collects every mistake with its place, so that a
// person sees them all at once.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/toml.h"

namespace serai::cri {

class Reader {
 public:
  // `name` is the document's, for messages.
  explicit Reader(std::string name) : name_(std::move(name)) {}

  // Notes a mistake. False, so that it ends a function that reads.
  bool Error(const toml::source_region& source, absl::string_view what) {
    mistakes_.emplace(source.begin,
                      absl::StrCat(name_, ":", source.begin.line, ":",
                                   source.begin.column, ": ", what));
    return false;
  }

  // In the order of their places.
  std::vector<std::string> errors() const {
    std::vector<std::string> out;
    for (const auto& [place, text] : mistakes_) out.push_back(text);
    return out;
  }

 private:
  const std::string name_;
  std::multimap<toml::source_position, std::string> mistakes_;
};

}  // namespace serai::cri
