// SPDX-License-Identifier: Apache-2.0
#include "cli/readiness.h"

#include <curl/curl.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace serai::cli {
namespace {

// More of a body than this is not read, and not needed.
constexpr size_t kMaxBody = 10 << 10;

size_t Swallow(char*, size_t size, size_t count, void* received) {
  size_t& total = *static_cast<size_t*>(received);
  total += size * count;
  return total > kMaxBody ? 0 : size * count;
}

std::string UrlOf(const ReadinessProbe& probe, const std::string& ip) {
  const std::string& host = probe.host.empty() ? ip : probe.host;
  const bool v6 = absl::StrContains(host, ":");
  return absl::StrCat(probe.scheme, "://", v6 ? "[" : "", host, v6 ? "]" : "",
                      ":", probe.port, probe.path);
}

}  // namespace

struct Prober::Request {
  Request() : curl(curl_easy_init()) {}
  ~Request() {
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
  }

  CURL* curl;
  curl_slist* headers = nullptr;
  bool http = false;
  size_t received = 0;
  absl::Duration timeout;
  absl::Duration patience = absl::Milliseconds(100);
};

Prober::Prober(const ReadinessProbe& probe, const std::string& ip)
    : request_(std::make_unique<Request>()) {
  Request& request = *request_;
  request.http = probe.http;
  request.timeout = probe.timeout;
  for (const auto& [name, value] : probe.headers) {
    request.headers = curl_slist_append(
        request.headers, absl::StrCat(name, ": ", value).c_str());
  }
  CURL* curl = request.curl;
  curl_easy_setopt(curl, CURLOPT_URL, UrlOf(probe, ip).c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request.headers);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "kube-probe/serai");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, probe.http ? 0L : 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Swallow);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &request.received);
}

Prober::~Prober() = default;

bool Prober::Try() {
  Request& request = *request_;
  CURL* curl = request.curl;
  // A guest that was still booting lost the first packets, which the kernel
  // sends again only after a second. Short attempts at first find it sooner.
  const absl::Duration connect = std::min(request.patience, request.timeout);
  request.patience *= 2;
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(connect)));
  curl_easy_setopt(
      curl, CURLOPT_TIMEOUT_MS,
      static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
  request.received = 0;
  const CURLcode code = curl_easy_perform(curl);
  // Refusing what is beyond kMaxBody reads as a write error.
  if (code != CURLE_OK && code != CURLE_WRITE_ERROR) {
    reason_ = curl_easy_strerror(code);
    return false;
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  reason_ = absl::StrCat("it answered with HTTP status ", status);
  return !request.http || (status >= 200 && status < 400);
}

}  // namespace serai::cli
