// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kinds of values in the configuration: how each is read, printed as TOML,
// and what must be there for it to work.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cri/config/reader.h"
#include "lib/base/status.h"

namespace serai::cri {

template <typename T>
struct Kind {
  // Puts a node's value into the last argument; false after a mistake, that
  // the reader was told.
  std::function<bool(Reader&, const toml::node&, T&)> read;
  std::function<std::string(const T&)> print;
  // What is missing on this machine; may be unset.
  std::function<absl::Status(const T&)> check;
};

enum class Empty { kRefused, kAllowed };

// Any text.
Kind<std::string> Text(Empty empty = Empty::kAllowed);
// One of `words`.
Kind<std::string> OneOf(std::vector<std::string> words);
// An absolute path, of which nothing is asked.
Kind<std::string> Path(Empty empty = Empty::kRefused);
// An absolute path of something that should exist.
Kind<std::string> File(Empty empty = Empty::kRefused);
Kind<std::string> Directory(Empty empty = Empty::kRefused);
Kind<std::string> Program(Empty empty = Empty::kRefused);
// To listen on: "127.0.0.1:9469", "[::1]:0".
Kind<std::string> Address(Empty empty = Empty::kRefused);
// Arrays. Of Directories one should exist; Names are any text but "".
Kind<std::vector<std::string>> Directories();
Kind<std::vector<std::string>> Files();
Kind<std::vector<std::string>> Names();
// Patterns (cri/image/pattern.h) of repositories' names, each with its registry
// or a "*" for it. One that could match no name is refused: it would be taken
// for a policy that is in force.
Kind<std::vector<std::string>> Repositories();
// A quantity of Kubernetes' such as "64Mi".
Kind<int64_t> Bytes();
// Such as "60s"; more than nothing.
Kind<absl::Duration> Duration();

}  // namespace serai::cri
