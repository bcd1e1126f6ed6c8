// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace serai::oci {
namespace {

constexpr size_t kMaxUrl = 8192;

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using ParsedUrl = std::unique_ptr<CURLU, UrlDeleter>;

ParsedUrl Parse(const std::string& url) {
  ParsedUrl parsed(curl_url());
  if (parsed == nullptr || url.size() > kMaxUrl ||
      curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return nullptr;
  }
  return parsed;
}

std::string Part(const ParsedUrl& url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

}  // namespace

absl::StatusOr<std::string> UrlOrigin(const std::string& url) {
  const ParsedUrl parsed = Parse(url);
  if (parsed == nullptr) return absl::InvalidArgumentError("not a URL");
  const std::string scheme = Part(parsed, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return absl::InvalidArgumentError(
        "the URL's scheme is neither http nor https");
  }
  if (!Part(parsed, CURLUPART_USER).empty() ||
      !Part(parsed, CURLUPART_PASSWORD).empty()) {
    return absl::InvalidArgumentError("the URL carries user information");
  }
  return absl::StrCat(scheme, "://",
                      absl::AsciiStrToLower(Part(parsed, CURLUPART_HOST)), ":",
                      Part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string UrlForMessage(const std::string& url) {
  const ParsedUrl parsed = Parse(url);
  if (parsed == nullptr) return "(not a URL)";
  const std::string port = Part(parsed, CURLUPART_PORT);
  return absl::StrCat(Part(parsed, CURLUPART_HOST), port.empty() ? "" : ":",
                      port, Part(parsed, CURLUPART_PATH));
}

std::string UrlHost(const std::string& url) {
  const ParsedUrl parsed = Parse(url);
  return parsed == nullptr ? "" : Part(parsed, CURLUPART_HOST);
}

absl::StatusOr<std::string> ResolveUrl(const std::string& base,
                                       const std::string& reference) {
  const ParsedUrl parsed = Parse(base);
  // Set on a parsed URL, a relative one is taken from there.
  if (parsed == nullptr || reference.size() > kMaxUrl ||
      curl_url_set(parsed.get(), CURLUPART_URL, reference.c_str(), 0) !=
          CURLUE_OK) {
    return absl::InvalidArgumentError("not a URL");
  }
  return Part(parsed, CURLUPART_URL);
}

bool IsLoopbackHost(absl::string_view host) {
  if (absl::StartsWith(host, "[::1]")) {
    return host.size() == 5 || host[5] == ':';
  }
  const std::string name(host.substr(0, host.find(':')));
  if (name == "localhost") return true;
  int octet = 0;
  int count = 0;
  absl::string_view rest = name;
  while (count < 4) {  // a name such as 127.0.0.1.example.org is not loopback
    const size_t dot = std::min(rest.find('.'), rest.size());
    if (dot > 3 || !absl::SimpleAtoi(rest.substr(0, dot), &octet)) return false;
    if (octet < 0 || octet > 255 || (count == 0 && octet != 127)) return false;
    ++count;
    if (dot == rest.size()) return count == 4;
    rest.remove_prefix(dot + 1);
  }
  return false;
}

}  // namespace serai::oci
