// SPDX-License-Identifier: Apache-2.0
#pragma once

// Every key of the configuration, declared once (keys.cc), in the order in
// which `seraid config default` prints them.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cri/config/config.h"
#include "cri/config/kinds.h"

namespace serai::cri {

// Whether a running daemon takes a new value when it gets SIGHUP.
enum class Reload { kNo, kYes };

// One key of a `Table`: the whole configuration, or one handler's.
template <typename Table>
struct Key {
  std::string name;  // "root"; "cni.timeout" for timeout in [cni]
  Reload reload;
  std::string help;  // a sentence or more, for a comment
  std::function<bool(Reader&, const toml::node&, Table&)> read;
  std::function<std::string(const Table&)> print;
  std::function<absl::Status(const Table&)> check;
};

// `field` gives a reference to the member of a table.
template <typename Table, typename Field, typename T>
Key<Table> MakeKey(std::string name, Field field, Kind<T> kind, Reload reload,
                   std::string help) {
  return {
      std::move(name),
      reload,
      std::move(help),
      [field, kind](Reader& reader, const toml::node& node, Table& table) {
        return kind.read(reader, node, field(table));
      },
      [field, kind](const Table& table) { return kind.print(field(table)); },
      [field, kind](const Table& table) {
        return kind.check ? kind.check(field(table)) : absl::OkStatus();
      }};
}

const std::vector<Key<Config>>& ConfigKeys();
// Of each [handlers.NAME].
const std::vector<Key<HandlerConfig>>& HandlerKeys();

}  // namespace serai::cri
