// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/client.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/deadline.h"
#include "lib/oci/registry/url.h"

namespace serai::oci {
namespace {

constexpr absl::Duration kDocumentTimeout = absl::Minutes(2);
constexpr size_t kMaxQuotedMessage = 200;
constexpr absl::Duration kCancelPoll = absl::Milliseconds(100);

// The registry's own words (distribution specification, "Error Codes"), made
// harmless for a log.
std::string QuotedMessage(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return "";
  const auto errors = json.find("errors");
  if (errors == json.end() || !errors->is_array() || errors->empty()) return "";
  const auto& error = errors->front();
  if (!error.is_object()) return "";
  const auto message = error.find("message");
  if (message == error.end() || !message->is_string()) return "";
  std::string text = message->get<std::string>().substr(0, kMaxQuotedMessage);
  std::replace_if(
      text.begin(), text.end(),
      [](char c) {
        return !absl::ascii_isprint(static_cast<unsigned char>(c));
      },
      '?');
  return absl::StrCat(": ", text);
}

absl::StatusCode CodeOf(int status) {
  switch (status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
    case 410:
      return absl::StatusCode::kNotFound;
    case 408:
    case 416:
    case 429:
      return absl::StatusCode::kUnavailable;
    default:
      return status >= 500 && status <= 599 ? absl::StatusCode::kUnavailable
                                            : absl::StatusCode::kUnknown;
  }
}

// Retry-After: seconds, or a date (RFC 9110, section 10.2.3). Zero for none.
absl::Duration AskedWait(const HttpResponse& response) {
  const absl::string_view text = response.Header("retry-after");
  int64_t seconds = 0;
  if (absl::SimpleAtoi(text, &seconds)) {
    return absl::Seconds(std::max<int64_t>(seconds, 0));
  }
  absl::Time date;
  std::string error;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &date, &error)) {
    return absl::ZeroDuration();
  }
  return std::max(date - absl::Now(), absl::ZeroDuration());
}

// Where the content of a 206 answer begins; -1 for a Content-Range that is none
// of a blob of `size` bytes.
int64_t RangeStart(const HttpResponse& response, int64_t size) {
  absl::string_view text = response.Header("content-range");
  if (!absl::ConsumePrefix(&text, "bytes ")) return -1;
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == text.npos || slash == text.npos || slash < dash) return -1;
  int64_t start = -1;
  int64_t total = size;
  const absl::string_view whole = text.substr(slash + 1);
  if (!absl::SimpleAtoi(text.substr(0, dash), &start) ||
      (whole != "*" && !absl::SimpleAtoi(whole, &total)) || total != size) {
    return -1;
  }
  return start;
}

std::string AcceptedManifests() {
  return absl::StrCat(kMediaTypeIndex, ", ", kMediaTypeManifest, ", ",
                      kMediaTypeDockerIndex, ", ", kMediaTypeDockerManifest);
}

}  // namespace

struct RegistryClient::Host {
  RegistryHost registry;
  Authorizer authorizer;
};

RegistryClient::RegistryClient(const Reference& reference,
                               const RegistryOptions& options,
                               Cancelled cancelled)
    : registry_(reference.registry()),
      repository_(reference.repository()),
      options_(options),
      session_(std::make_unique<HttpSession>(options.limits,
                                             std::move(cancelled))) {}

RegistryClient::~RegistryClient() = default;

absl::StatusOr<std::unique_ptr<RegistryClient>> RegistryClient::Create(
    const Reference& reference, const Credentials& credentials,
    const RegistryOptions& options, Access access, Cancelled cancelled) {
  ASSIGN_OR_RETURN(const Credentials normal, NormalizeCredentials(credentials));
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts,
                   ResolveHosts(options.config_path, reference.registry()));
  std::unique_ptr<RegistryClient> client(
      new RegistryClient(reference, options, std::move(cancelled)));
  const std::string scope =
      absl::StrCat("repository:", reference.repository(),
                   access == Access::kPush ? ":pull,push" : ":pull");
  client->hosts_.reserve(hosts.size());
  for (RegistryHost& host : hosts) {
    Credentials own = CredentialsFor(normal, host, reference.registry());
    Authorizer authorizer(client->session_.get(), host, std::move(own), scope);
    client->hosts_.push_back(Host{std::move(host), std::move(authorizer)});
  }
  return client;
}

HttpRequest RegistryClient::MakeRequest(const Host& host,
                                        absl::string_view path) const {
  HttpRequest request;
  request.url = absl::StrCat(host.registry.url, "/", repository_, "/", path);
  if (host.registry.mirror) {
    absl::StrAppend(&request.url,
                    absl::StrContains(request.url, "?") ? "&" : "?",
                    "ns=", registry_);
  }
  request.tls = host.registry.tls;
  return request;
}

absl::Status RegistryClient::Expect(const HttpResponse& response, int status) {
  if (response.status == status) return absl::OkStatus();
  asked_wait_ = AskedWait(response);
  const std::string asked =
      asked_wait_ > absl::ZeroDuration()
          ? absl::StrCat(" (come back in ", absl::FormatDuration(asked_wait_),
                         ")")
          : "";
  return absl::Status(
      CodeOf(response.status),
      absl::StrCat(UrlForMessage(response.url), ": HTTP status ",
                   response.status, QuotedMessage(response.body), asked));
}

absl::StatusOr<HttpResponse> RegistryClient::Authorized(Host& host,
                                                        HttpRequest request) {
  ASSIGN_OR_RETURN(const std::string origin, UrlOrigin(host.registry.url));
  ASSIGN_OR_RETURN(const std::string target, UrlOrigin(request.url));
  for (int answers = 0;; ++answers) {
    request.origin_headers.clear();
    if (target == origin) {  // an upload may have been sent elsewhere
      request.origin_headers = host.registry.headers;
      const std::string& authorization = host.authorizer.authorization();
      if (!authorization.empty()) {
        request.origin_headers.emplace_back("Authorization", authorization);
      }
    } else {
      request.tls.client_certificate.clear();
    }
    ASSIGN_OR_RETURN(HttpResponse response, session_->Do(request));
    if (response.status != 401 || answers == 2) return response;
    // Only the host itself is told who we are, not where it redirects to.
    ASSIGN_OR_RETURN(const std::string answering, UrlOrigin(response.url));
    if (answering != origin) return response;
    RETURN_IF_ERROR(host.authorizer.Answer(response),
                    UrlForMessage(response.url));
  }
}

absl::Status RegistryClient::Wait(absl::Duration wait) const {
  const Deadline end(wait);
  for (;;) {
    if (session_->cancelled()) {
      return absl::CancelledError("the request was cancelled");
    }
    if (end.Passed()) return absl::OkStatus();
    absl::SleepFor(std::min(end.Left(), kCancelPoll));
  }
}

absl::Status RegistryClient::Retried(
    const std::function<absl::Status()>& attempt,
    const std::function<int64_t()>& progress) {
  absl::BitGen random;
  absl::Duration wait = options_.first_wait;
  int64_t had = progress ? progress() : 0;
  for (int tries = 1;; ++tries) {
    asked_wait_ = absl::ZeroDuration();
    const absl::Status status = attempt();
    const bool may_pass = absl::IsUnavailable(status) ||
                          (progress && absl::IsDeadlineExceeded(status));
    if (!may_pass || session_->cancelled()) return status;
    if (progress && progress() >= had + options_.progress_bytes) {
      had = progress();
      tries = 0;
      wait = options_.first_wait;
    }
    if (tries >= options_.attempts || asked_wait_ > options_.max_wait) {
      return status;
    }
    // Not all nodes of a cluster at once.
    const absl::Duration spread = wait * absl::Uniform(random, 0.75, 1.25);
    RETURN_IF_ERROR(Wait(std::max(spread, asked_wait_)));
    wait = std::min(wait * 2, options_.max_wait);
  }
}

absl::Status RegistryClient::AtHosts(
    bool RegistryHost::*capability,
    const std::function<absl::Status(Host&)>& attempt,
    const std::function<int64_t()>& progress) {
  std::vector<std::string> messages;
  absl::Status last = absl::FailedPreconditionError(absl::StrCat(
      registry_, ": hosts.toml leaves no host with the needed capability"));
  for (Host& host : hosts_) {
    if (!(host.registry.*capability)) continue;
    last = Retried([&] { return attempt(host); }, progress);
    if (last.ok() || absl::IsCancelled(last)) return last;
    messages.emplace_back(last.message());
  }
  if (messages.empty()) return last;
  // The last is the registry itself.
  return absl::Status(last.code(), absl::StrJoin(messages, "; "));
}

absl::StatusOr<FetchedManifest> RegistryClient::GetManifest(
    const std::string& tag, const Digest& digest) {
  FetchedManifest manifest;
  const auto capability =
      digest.empty() ? &RegistryHost::can_resolve : &RegistryHost::can_pull;
  RETURN_IF_ERROR(AtHosts(capability, [&](Host& host) -> absl::Status {
    ASSIGN_OR_RETURN(manifest, GetManifestFrom(host, tag, digest));
    return absl::OkStatus();
  }));
  return manifest;
}

absl::StatusOr<FetchedManifest> RegistryClient::GetManifestFrom(
    Host& host, const std::string& tag, const Digest& digest) {
  HttpRequest request = MakeRequest(
      host,
      absl::StrCat("manifests/", digest.empty() ? tag : digest.ToString()));
  request.headers = {{"Accept", AcceptedManifests()}};
  request.max_body = kMaxDocumentBytes;
  request.timeout = kDocumentTimeout;
  ASSIGN_OR_RETURN(HttpResponse response, Authorized(host, request));
  RETURN_IF_ERROR(Expect(response, 200));

  const std::string where = UrlForMessage(response.url);
  FetchedManifest manifest;
  manifest.content = std::move(response.body);
  manifest.digest = DigestOf(manifest.content);
  // By tag, the header is the registry's word against its own content.
  const auto said = Digest::Parse(response.Header("docker-content-digest"));
  const Digest expected = !digest.empty() ? digest
                          : said.ok()     ? *said
                                          : manifest.digest;
  if (!(manifest.digest == expected)) {
    return absl::DataLossError(absl::StrCat(where, ": the content's digest is ",
                                            manifest.digest.ToString(),
                                            ", not ", expected.ToString()));
  }
  ASSIGN_OR_RETURN(manifest.media_type, DetectMediaType(manifest.content),
                   where);
  return manifest;
}

absl::Status RegistryClient::GetBlob(const Descriptor& blob, BlobWriter& writer,
                                     const std::function<void()>& grown) {
  // The most that was there at once: what a host makes us fetch again is no
  // progress.
  int64_t most = writer.written();
  return AtHosts(
      &RegistryHost::can_pull,
      [&](Host& host) {
        absl::Status status = GetBlobFrom(host, blob, writer, grown);
        most = std::max(most, writer.written());
        return status;
      },
      [&] { return most; });
}

absl::Status RegistryClient::GetBlobFrom(Host& host, const Descriptor& blob,
                                         BlobWriter& writer,
                                         const std::function<void()>& grown) {
  const std::string where = UrlForMessage(
      MakeRequest(host, absl::StrCat("blobs/", blob.digest.ToString())).url);
  for (;;) {
    bool resumed = false;
    RETURN_IF_ERROR(Download(host, blob, writer, grown, resumed));
    const absl::Status committed = writer.Commit().status();
    if (committed.ok()) return committed;
    const absl::Status kept = Annotate(committed, where);
    if (absl::IsDataLoss(committed)) RETURN_IF_ERROR(writer.Restart());
    // What is wrong may be what another host sent before.
    if (!resumed || !absl::IsDataLoss(committed)) return kept;
  }
}

absl::Status RegistryClient::Download(Host& host, const Descriptor& blob,
                                      BlobWriter& writer,
                                      const std::function<void()>& grown,
                                      bool& resumed) {
  HttpRequest request =
      MakeRequest(host, absl::StrCat("blobs/", blob.digest.ToString()));
  const std::string where = UrlForMessage(request.url);
  const int64_t from = writer.written();
  if (from >= blob.size && from > 0) {
    resumed = true;
    return absl::OkStatus();
  }
  if (from > 0) {
    request.headers = {{"Range", absl::StrCat("bytes=", from, "-")}};
  }
  request.max_body = std::numeric_limits<uint64_t>::max();  // the sink knows
  request.head = [&](const HttpResponse& head) -> absl::Status {
    resumed = head.status == 206 && from > 0;
    if (!resumed) return from > 0 ? writer.Restart() : absl::OkStatus();
    if (RangeStart(head, blob.size) == from) return absl::OkStatus();
    RETURN_IF_ERROR(writer.Restart());
    return absl::UnavailableError(
        absl::StrCat(where, ": not the range that was asked for"));
  };
  request.sink = [&](absl::string_view piece) -> absl::Status {
    if (piece.size() > static_cast<uint64_t>(blob.size - writer.written())) {
      return absl::DataLossError(absl::StrCat("longer than the ", blob.size,
                                              " bytes of its descriptor"));
    }
    RETURN_IF_ERROR(writer.Write(piece));
    if (grown) grown();
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(const HttpResponse response, Authorized(host, request));
  if (response.status == 416) {  // it has another idea of the blob's length
    RETURN_IF_ERROR(writer.Restart());
  }
  RETURN_IF_ERROR(Expect(response, resumed ? 206 : 200));
  if (writer.written() < blob.size) {
    return absl::UnavailableError(absl::StrCat(where, ": ended after ",
                                               writer.written(), " of ",
                                               blob.size, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RegistryClient::Host*> RegistryClient::PushHost() {
  for (Host& host : hosts_) {
    if (host.registry.can_push) return &host;
  }
  return absl::FailedPreconditionError(
      absl::StrCat(registry_, ": hosts.toml leaves no host to push to"));
}

absl::StatusOr<bool> RegistryClient::HasBlob(const Digest& digest) {
  ASSIGN_OR_RETURN(Host * host, PushHost());
  bool present = false;
  const auto ask = [&]() -> absl::Status {
    HttpRequest request =
        MakeRequest(*host, absl::StrCat("blobs/", digest.ToString()));
    request.method = HttpMethod::kHead;
    request.timeout = kDocumentTimeout;
    ASSIGN_OR_RETURN(const HttpResponse response, Authorized(*host, request));
    present = response.status == 200;
    return response.status == 404 ? absl::OkStatus() : Expect(response, 200);
  };
  RETURN_IF_ERROR(Retried(ask, nullptr));
  return present;
}

absl::Status RegistryClient::PutBlob(const Digest& digest, int fd,
                                     uint64_t size) {
  ASSIGN_OR_RETURN(Host * host, PushHost());
  HttpRequest start = MakeRequest(*host, "blobs/uploads/");
  start.method = HttpMethod::kPost;
  start.headers = {{"Content-Type", "application/octet-stream"}};
  start.max_body = kMaxDocumentBytes;
  start.timeout = kDocumentTimeout;
  ASSIGN_OR_RETURN(const HttpResponse started, Authorized(*host, start));
  RETURN_IF_ERROR(Expect(started, 202));

  const std::string where = UrlForMessage(started.url);
  HttpRequest upload;
  ASSIGN_OR_RETURN(
      upload.url,
      ResolveUrl(started.url, std::string(started.Header("location"))), where);
  if (absl::StartsWith(started.url, "https:") &&
      !absl::StartsWith(upload.url, "https:")) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, ": sends the upload from https to plain http"));
  }
  absl::StrAppend(&upload.url, absl::StrContains(upload.url, "?") ? "&" : "?",
                  "digest=", digest.ToString());
  upload.method = HttpMethod::kPut;
  upload.tls = host->registry.tls;
  upload.headers = {{"Content-Type", "application/octet-stream"}};
  upload.body_fd = fd;
  upload.body_size = size;
  upload.max_body = kMaxDocumentBytes;
  ASSIGN_OR_RETURN(const HttpResponse uploaded, Authorized(*host, upload));
  return Expect(uploaded, 201);
}

absl::Status RegistryClient::PutManifest(const std::string& tag,
                                         const Digest& digest,
                                         absl::string_view media_type,
                                         const std::string& content) {
  ASSIGN_OR_RETURN(Host * host, PushHost());
  HttpRequest request = MakeRequest(
      *host, absl::StrCat("manifests/", tag.empty() ? digest.ToString() : tag));
  request.method = HttpMethod::kPut;
  request.headers = {{"Content-Type", std::string(media_type)}};
  request.body = content;
  request.max_body = kMaxDocumentBytes;
  request.timeout = kDocumentTimeout;
  ASSIGN_OR_RETURN(const HttpResponse response, Authorized(*host, request));
  return Expect(response, 201);
}

}  // namespace serai::oci
