// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a small server needs of HTTP/1.1 (RFC 9112): the head of a request, and
// an answer with its length.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/guests/runtime/console.h"

namespace serai::guest {

struct HttpRequest {
  std::string_view method;
  std::string_view path;   // without the query
  std::string_view query;  // what follows '?'
  bool keep_alive = false;
  size_t size = 0;  // bytes of the head; bodies are not read
};

enum class HttpParse { kComplete, kIncomplete, kBad };

// Takes a request's head from the beginning of `data`. The parts point into it.
HttpParse ParseHttp(std::string_view data, HttpRequest& request);

// The value of `name` in "a=1&b=2", undecoded.
std::optional<std::string_view> QueryValue(std::string_view query,
                                           std::string_view name);

// Appends `text` with %41 and + decoded.
void AppendDecoded(Writer& writer, std::string_view text);

// Appends `text` as HTML text.
void AppendEscaped(Writer& writer, std::string_view text);

struct HttpAnswer {
  int status = 200;
  std::string_view type = "text/plain; charset=utf-8";
  std::string_view body;
  uint64_t stream = 0;  // bytes that follow the body
  bool keep_alive = false;
  bool head_only = false;
};

void AppendTo(Writer& writer, const HttpAnswer& answer);

}  // namespace serai::guest
