// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/client.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "lib/oci/registry/url.h"

namespace serai::oci {
namespace {

constexpr absl::Duration kDocumentTimeout = absl::Minutes(2);
constexpr size_t kMaxQuotedMessage = 200;

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
    case 429:
      return absl::StatusCode::kUnavailable;
    default:
      return status >= 500 && status <= 599 ? absl::StatusCode::kUnavailable
                                            : absl::StatusCode::kUnknown;
  }
}

absl::Status Expect(const HttpResponse& response, int status) {
  if (response.status == status) return absl::OkStatus();
  return absl::Status(
      CodeOf(response.status),
      absl::StrCat(UrlForMessage(response.url), ": HTTP status ",
                   response.status, QuotedMessage(response.body)));
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

absl::Status RegistryClient::Retried(
    const std::function<absl::Status()>& attempt) {
  absl::Duration wait = options_.first_wait;
  for (int tries = 1;; ++tries) {
    const absl::Status status = attempt();
    if (!absl::IsUnavailable(status) || tries >= options_.attempts ||
        session_->cancelled()) {
      return status;
    }
    absl::SleepFor(wait);
    wait *= 2;
  }
}

absl::Status RegistryClient::AtHosts(
    bool RegistryHost::*capability,
    const std::function<absl::Status(Host&)>& attempt) {
  std::string before;
  absl::Status last = absl::FailedPreconditionError(absl::StrCat(
      registry_, ": hosts.toml leaves no host with the needed capability"));
  for (Host& host : hosts_) {
    if (!(host.registry.*capability)) continue;
    last = Retried([&] { return attempt(host); });
    if (last.ok() || absl::IsCancelled(last)) return last;
    if (&host != &hosts_.back()) absl::StrAppend(&before, last.message(), "; ");
  }
  // The last is the registry itself.
  return absl::Status(last.code(), absl::StrCat(before, last.message()));
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

absl::Status RegistryClient::GetBlob(const Descriptor& blob,
                                     BlobWriter& writer) {
  return AtHosts(&RegistryHost::can_pull,
                 [&](Host& host) { return GetBlobFrom(host, blob, writer); });
}

absl::Status RegistryClient::GetBlobFrom(Host& host, const Descriptor& blob,
                                         BlobWriter& writer) {
  RETURN_IF_ERROR(writer.Restart());
  HttpRequest request =
      MakeRequest(host, absl::StrCat("blobs/", blob.digest.ToString()));
  const std::string where = UrlForMessage(request.url);
  request.max_body = std::numeric_limits<uint64_t>::max();  // the sink knows
  request.sink = [&](absl::string_view piece) -> absl::Status {
    if (piece.size() > static_cast<uint64_t>(blob.size - writer.written())) {
      return absl::DataLossError(absl::StrCat("longer than the ", blob.size,
                                              " bytes of its descriptor"));
    }
    return writer.Write(piece);
  };
  ASSIGN_OR_RETURN(const HttpResponse response, Authorized(host, request));
  RETURN_IF_ERROR(Expect(response, 200));
  if (writer.written() < blob.size) {
    return absl::UnavailableError(absl::StrCat(where, ": ended after ",
                                               writer.written(), " of ",
                                               blob.size, " bytes"));
  }
  return Annotate(writer.Commit().status(), where);
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
  RETURN_IF_ERROR(Retried([&]() -> absl::Status {
    HttpRequest request =
        MakeRequest(*host, absl::StrCat("blobs/", digest.ToString()));
    request.method = HttpMethod::kHead;
    request.timeout = kDocumentTimeout;
    ASSIGN_OR_RETURN(const HttpResponse response, Authorized(*host, request));
    present = response.status == 200;
    return response.status == 404 ? absl::OkStatus() : Expect(response, 200);
  }));
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
