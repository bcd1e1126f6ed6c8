// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/web/http.h"

namespace serai::guest {
namespace {

// The part of `text` before the first `separator`, which is taken off with it;
// all of it where there is none.
std::string_view TakeUntil(std::string_view& text, std::string_view separator) {
  const size_t at = text.find(separator);
  if (at == text.npos) {
    const std::string_view all = text;
    text = {};
    return all;
  }
  const std::string_view part(text.data(), at);
  text.remove_prefix(at + separator.size());
  return part;
}

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = Lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// A request target in a log line must not be able to make another line.
bool IsVisible(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Request Header Fields Too Large";
  }
}

}  // namespace

HttpParse ParseHttp(std::string_view data, HttpRequest& request) {
  const size_t end = data.find("\r\n\r\n");
  if (end == data.npos) return HttpParse::kIncomplete;
  request.size = end + 4;
  std::string_view headers(data.data(), end);
  std::string_view line = TakeUntil(headers, "\r\n");
  request.method = TakeUntil(line, " ");
  std::string_view target = TakeUntil(line, " ");
  if (!IsVisible(request.method) || request.method.empty() ||
      !IsVisible(target) || !target.starts_with('/') ||
      !line.starts_with("HTTP/1.")) {
    return HttpParse::kBad;
  }
  request.path = TakeUntil(target, "?");
  request.query = target;
  request.keep_alive = line != "HTTP/1.0";
  while (!headers.empty()) {
    std::string_view value = TakeUntil(headers, "\r\n");
    const std::string_view name = TakeUntil(value, ":");
    if (!EqualsIgnoringCase(name, "connection")) continue;
    value = Trim(value);
    if (EqualsIgnoringCase(value, "close")) request.keep_alive = false;
    if (EqualsIgnoringCase(value, "keep-alive")) request.keep_alive = true;
  }
  return HttpParse::kComplete;
}

std::optional<std::string_view> QueryValue(std::string_view query,
                                           std::string_view name) {
  while (!query.empty()) {
    std::string_view value = TakeUntil(query, "&");
    if (TakeUntil(value, "=") == name) return value;
  }
  return std::nullopt;
}

void AppendDecoded(Writer& writer, std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+') c = ' ';
    if (c == '%' && i + 2 < text.size()) {
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        i += 2;
      }
    }
    writer.Append(c);
  }
}

void AppendEscaped(Writer& writer, std::string_view text) {
  for (const char c : text) {
    if (c == '&') {
      writer.Append("&amp;");
    } else if (c == '<') {
      writer.Append("&lt;");
    } else if (c == '>') {
      writer.Append("&gt;");
    } else {
      writer.Append(c);
    }
  }
}

void AppendTo(Writer& writer, const HttpAnswer& answer) {
  writer.Append("HTTP/1.1 ");
  writer.Append(answer.status);
  writer.Append(' ');
  writer.Append(Reason(answer.status));
  writer.Append("\r\nServer: serai-web\r\nContent-Type: ");
  writer.Append(answer.type);
  writer.Append("\r\nContent-Length: ");
  writer.Append(answer.body.size() + answer.stream);
  if (answer.status == 405) writer.Append("\r\nAllow: GET, HEAD");
  writer.Append("\r\nConnection: ");
  writer.Append(answer.keep_alive ? "keep-alive" : "close");
  writer.Append("\r\n\r\n");
  if (!answer.head_only) writer.Append(answer.body);
}

}  // namespace serai::guest
