// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/http.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "lib/oci/registry/url.h"

namespace serai::oci {
namespace {

constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr size_t kMaxErrorBody = 16 << 10;

// Throughout the process; libcurl asks for it before the first handle.
void InitCurlOnce() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_ALL);
  static_cast<void>(code);
}

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, SlistDeleter>;

bool Append(HeaderList& list, const std::string& line) {
  curl_slist* head = curl_slist_append(list.get(), line.c_str());
  if (head == nullptr) return false;
  static_cast<void>(list.release());
  list.reset(head);
  return true;
}

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

// The state of one exchange, which libcurl's callbacks work on.
struct Transfer {
  const HttpRequest* request = nullptr;
  const Cancelled* cancelled = nullptr;
  HttpResponse response;
  size_t header_bytes = 0;
  uint64_t received = 0;
  uint64_t sent = 0;
  bool head_seen = false;
  bool body_cut = false;  // an error's body is longer than we care for
  absl::Status failure;   // ours, when we end the transfer

  bool Success() const {
    return response.status >= 200 && response.status <= 299;
  }
  // Shows a 2xx answer's head, once. False where that ends the transfer.
  bool SeeHead() {
    if (head_seen || !request->head) return true;
    head_seen = true;
    failure = request->head(response);
    return failure.ok();
  }
  uint64_t BodySize() const {
    return request->body_fd >= 0 ? request->body_size : request->body.size();
  }
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const absl::string_view line(data, size * count);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.failure =
        absl::ResourceExhaustedError("the answer's headers exceed 64 KiB");
    return 0;
  }
  if (absl::StartsWith(line, "HTTP/")) {  // after a 1xx there is another
    const size_t space = line.find(' ');
    int status = 0;
    if (space != absl::string_view::npos &&
        absl::SimpleAtoi(line.substr(space + 1, 3), &status)) {
      transfer.response.status = status;
    }
    transfer.response.headers.clear();
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon != absl::string_view::npos) {
    transfer.response.headers.emplace_back(
        absl::AsciiStrToLower(line.substr(0, colon)),
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1))));
  }
  return line.size();
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const absl::string_view piece(data, size * count);
  std::string& body = transfer.response.body;
  if (!transfer.Success()) {
    const size_t room = kMaxErrorBody - body.size();
    body.append(piece.data(), std::min(room, piece.size()));
    if (piece.size() <= room) return piece.size();
    transfer.body_cut = true;
    return 0;
  }
  if (!transfer.SeeHead()) return 0;
  if (piece.size() > transfer.request->max_body - transfer.received) {
    transfer.failure = absl::ResourceExhaustedError(absl::StrCat(
        "the answer is longer than ", transfer.request->max_body, " bytes"));
    return 0;
  }
  transfer.received += piece.size();
  if (!transfer.request->sink) {
    body.append(piece.data(), piece.size());
    return piece.size();
  }
  transfer.failure = transfer.request->sink(piece);
  return transfer.failure.ok() ? piece.size() : 0;
}

size_t OnRead(char* buffer, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const HttpRequest& request = *transfer.request;
  const size_t want = static_cast<size_t>(
      std::min<uint64_t>(size * count, transfer.BodySize() - transfer.sent));
  if (want == 0) return 0;
  if (request.body_fd < 0) {
    std::memcpy(buffer, request.body.data() + transfer.sent, want);
    transfer.sent += want;
    return want;
  }
  ssize_t got = 0;
  do {
    got = ::pread(request.body_fd, buffer, want,
                  static_cast<off_t>(transfer.sent));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    transfer.failure =
        got < 0 ? ErrnoStatus(errno, "reading what to upload")
                : absl::DataLossError("what to upload is shorter than said");
    return CURL_READFUNC_ABORT;
  }
  transfer.sent += static_cast<uint64_t>(got);
  return static_cast<size_t>(got);
}

int OnSeek(void* user, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (origin != SEEK_SET || offset < 0 ||
      static_cast<uint64_t>(offset) > transfer.BodySize()) {
    return CURL_SEEKFUNC_FAIL;
  }
  transfer.sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<const Transfer*>(user);
  return *transfer.cancelled && (*transfer.cancelled)() ? 1 : 0;
}

absl::Status CurlStatus(CURLcode code, const std::string& detail) {
  const std::string text =
      detail.empty() ? std::string(curl_easy_strerror(code)) : detail;
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(text);
    case CURLE_ABORTED_BY_CALLBACK:
      return absl::CancelledError("the request was cancelled");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return absl::FailedPreconditionError(text);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      // libcurl's own words would quote the URL.
      return absl::InvalidArgumentError(curl_easy_strerror(code));
    case CURLE_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

}  // namespace

absl::string_view HttpResponse::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

struct HttpSession::Handle {
  CURL* curl = nullptr;
  Handle() {
    InitCurlOnce();
    curl = curl_easy_init();
  }
  ~Handle() { curl_easy_cleanup(curl); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

HttpSession::HttpSession(HttpLimits limits, Cancelled cancelled)
    : limits_(limits),
      cancelled_(std::move(cancelled)),
      handle_(std::make_unique<Handle>()) {}

HttpSession::~HttpSession() = default;

absl::StatusOr<HttpResponse> HttpSession::Do(const HttpRequest& request) {
  std::string url = request.url;
  bool own_origin = true;
  ASSIGN_OR_RETURN(std::string origin, UrlOrigin(url), UrlForMessage(url));
  const bool follows =
      request.method == HttpMethod::kGet || request.method == HttpMethod::kHead;
  for (int redirects = 0;; ++redirects) {
    std::string next;
    ASSIGN_OR_RETURN(HttpResponse response,
                     Exchange(request, url, own_origin, next),
                     UrlForMessage(url));
    if (!follows || !IsRedirect(response.status)) return response;
    const std::string from = UrlForMessage(url);
    if (next.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(from, ": redirects to nowhere"));
    }
    if (redirects == limits_.max_redirects) {
      return absl::FailedPreconditionError(absl::StrCat(
          from, ": more than ", limits_.max_redirects, " redirects"));
    }
    absl::StatusOr<std::string> next_origin = UrlOrigin(next);
    if (!next_origin.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          from, ": redirects badly: ", next_origin.status().message()));
    }
    if (absl::StartsWith(origin, "https:") &&
        !absl::StartsWith(*next_origin, "https:")) {
      return absl::FailedPreconditionError(
          absl::StrCat(from, ": redirects from https to plain http"));
    }
    if (*next_origin != origin) own_origin = false;
    origin = *std::move(next_origin);
    url = std::move(next);
  }
}

namespace {

// What every exchange sets the same way.
void SetCommon(CURL* curl, const HttpLimits& limits, Transfer& transfer) {
  // No signals: timeouts must not touch the process.
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "serai");
  curl_easy_setopt(
      curl, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(absl::ToInt64Milliseconds(limits.connect_timeout)));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT,
                   static_cast<long>(limits.low_speed_bytes_per_second));
  curl_easy_setopt(
      curl, CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(absl::ToInt64Seconds(limits.low_speed_time)));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
}

void SetTls(CURL* curl, const TlsOptions& tls, bool own_origin) {
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  if (tls.skip_verify) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!tls.ca_pem.empty()) {
    // Takes the place of the system's bundle file; its directory stays.
    curl_blob blob = {};
    blob.data = const_cast<char*>(tls.ca_pem.data());
    blob.len = tls.ca_pem.size();
    blob.flags = CURL_BLOB_COPY;
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (own_origin && !tls.client_certificate.empty()) {
    curl_easy_setopt(curl, CURLOPT_SSLCERT, tls.client_certificate.c_str());
    if (!tls.client_key.empty()) {
      curl_easy_setopt(curl, CURLOPT_SSLKEY, tls.client_key.c_str());
    }
  }
}

void SetMethod(CURL* curl, Transfer& transfer) {
  const auto size = static_cast<curl_off_t>(transfer.BodySize());
  switch (transfer.request->method) {
    case HttpMethod::kGet:
      curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
      return;
    case HttpMethod::kHead:
      curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
      return;
    case HttpMethod::kPost:
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, size);
      break;
    case HttpMethod::kPut:
      curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, size);
      break;
  }
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, OnRead);
  curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, OnSeek);
  curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
}

absl::StatusOr<HeaderList> MakeHeaders(const HttpRequest& request,
                                       bool own_origin) {
  HeaderList list;
  HttpHeaders headers = request.headers;
  if (own_origin) {
    headers.insert(headers.end(), request.origin_headers.begin(),
                   request.origin_headers.end());
  }
  // No waiting for a 100 that many servers never send.
  bool ok = Append(list, "Expect:");
  for (const auto& [name, value] : headers) {
    if (HasControl(name) || HasControl(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a control character in the header ", name));
    }
    ok = ok && Append(list, absl::StrCat(name, ": ", value));
  }
  if (!ok) return absl::ResourceExhaustedError("no memory for headers");
  return list;
}

}  // namespace

absl::StatusOr<HttpResponse> HttpSession::Exchange(const HttpRequest& request,
                                                   const std::string& url,
                                                   bool own_origin,
                                                   std::string& redirect) {
  CURL* curl = handle_->curl;
  if (curl == nullptr) return absl::ResourceExhaustedError("no libcurl handle");
  if (cancelled()) return absl::CancelledError("the request was cancelled");
  Transfer transfer;
  transfer.request = &request;
  transfer.cancelled = &cancelled_;
  transfer.response.url = url;
  char detail[CURL_ERROR_SIZE] = "";
  ASSIGN_OR_RETURN(const HeaderList headers, MakeHeaders(request, own_origin));

  curl_easy_reset(curl);  // keeps the connections
  SetCommon(curl, limits_, transfer);
  SetTls(curl, request.tls, own_origin);
  SetMethod(curl, transfer);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
  if (request.timeout < absl::InfiniteDuration()) {
    curl_easy_setopt(
        curl, CURLOPT_TIMEOUT_MS,
        static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
  }
  // A proxy from the environment can't reach our loopback.
  if (IsLoopbackHost(UrlHost(url))) {
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
  }
  const CURLcode code = curl_easy_perform(curl);
  // The buffers set above end with this function.
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (!transfer.failure.ok()) return transfer.failure;
  if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && transfer.body_cut)) {
    return CurlStatus(code, detail);
  }
  if (transfer.Success() && !transfer.SeeHead()) return transfer.failure;
  const char* location = nullptr;
  if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location) == CURLE_OK &&
      location != nullptr) {
    redirect = location;
  }
  return std::move(transfer.response);
}

}  // namespace serai::oci
