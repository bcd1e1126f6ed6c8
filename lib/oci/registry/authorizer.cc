// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/authorizer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "lib/oci/registry/auth_challenge.h"
#include "lib/oci/registry/url.h"

namespace serai::oci {
namespace {

constexpr uint64_t kMaxTokenAnswer = 64 << 10;
constexpr absl::Duration kTokenTimeout = absl::Seconds(60);

// RFC 3986: everything but the unreserved characters.
std::string QueryEscape(absl::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      escaped += c;
    } else {
      escaped += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return escaped;
}

// "https://Index.docker.io/v1/" → "docker.io".
std::string HostOfAddress(absl::string_view address) {
  const size_t scheme = address.find("://");
  if (scheme != absl::string_view::npos) address.remove_prefix(scheme + 3);
  address = address.substr(0, address.find('/'));
  std::string host = absl::AsciiStrToLower(address);
  if (host == "index.docker.io" || host == "registry-1.docker.io") {
    return "docker.io";
  }
  return host;
}

std::string BasicHeader(const Credentials& credentials) {
  return absl::StrCat("Basic ",
                      absl::Base64Escape(absl::StrCat(credentials.username, ":",
                                                      credentials.password)));
}

// "https://host:443" → "https://host".
std::string WithoutPort(const std::string& origin) {
  return origin.substr(0, origin.rfind(':'));
}

absl::StatusOr<std::string> TokenOf(const std::string& answer) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  if (json.is_object()) {
    for (const char* key : {"token", "access_token"}) {
      const auto token = json.find(key);
      if (token == json.end() || !token->is_string()) continue;
      const auto& text = token->get_ref<const std::string&>();
      const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
        return absl::ascii_isgraph(static_cast<unsigned char>(c));
      });
      if (!text.empty() && printable) return text;
    }
  }
  return absl::UnauthenticatedError("the answer holds no token");
}

}  // namespace

absl::StatusOr<Credentials> NormalizeCredentials(Credentials credentials) {
  if (!credentials.auth.empty()) {
    std::string decoded;
    const bool valid = absl::Base64Unescape(credentials.auth, &decoded);
    const size_t colon = decoded.find(':');
    if (!valid || colon == std::string::npos) {
      return absl::InvalidArgumentError(
          "the credentials' auth is not base64 of user:password");
    }
    credentials.username = decoded.substr(0, colon);
    credentials.password = decoded.substr(colon + 1);
    // Some clients pad what they encode.
    credentials.password.resize(credentials.password.find_last_not_of('\0') +
                                1);
    credentials.auth.clear();
  }
  // What a credential helper says for "the password is an identity token".
  if (credentials.username == "<token>" && credentials.identity_token.empty()) {
    credentials.identity_token = std::move(credentials.password);
    credentials.username.clear();
    credentials.password.clear();
  }
  return credentials;
}

Credentials CredentialsFor(const Credentials& credentials,
                           const RegistryHost& host,
                           absl::string_view registry) {
  const std::string valid_at =
      HostOfAddress(credentials.server_address.empty()
                        ? registry
                        : absl::string_view(credentials.server_address));
  return HostOfAddress(host.host) == valid_at ? credentials : Credentials();
}

absl::Status Authorizer::Answer(const HttpResponse& unauthorized) {
  // A token of the token server may have run out; what was given has not.
  const bool had_token = absl::StartsWith(authorization_, "Bearer ");
  if (!authorization_.empty() &&
      (!had_token || !credentials_.registry_token.empty())) {
    return absl::UnauthenticatedError("the credentials are not accepted");
  }
  if (!credentials_.registry_token.empty()) {
    authorization_ = absl::StrCat("Bearer ", credentials_.registry_token);
    return absl::OkStatus();
  }
  std::optional<AuthChallenge> bearer;
  bool basic = false;
  for (const auto& [name, value] : unauthorized.headers) {
    if (name != "www-authenticate") continue;
    ASSIGN_OR_RETURN(auto challenges, ParseWwwAuthenticate(value));
    for (AuthChallenge& challenge : challenges) {
      basic = basic || challenge.scheme == "basic";
      if (challenge.scheme == "bearer" && !bearer) {
        bearer = std::move(challenge);
      }
    }
  }
  if (bearer) {
    // First for what we are about to do, pushing say, which the first request
    // need not show. A mirror may know the repository by another name.
    const std::string& asked = bearer->params["scope"];
    return FetchToken(bearer->params["realm"], bearer->params["service"],
                      had_token && !asked.empty() ? asked : scope_);
  }
  if (basic && !credentials_.username.empty()) {
    authorization_ = BasicHeader(credentials_);
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(
      basic ? "credentials are needed, and none are given for this host"
            : "asks for a kind of authentication that is not supported");
}

absl::StatusOr<HttpRequest> Authorizer::TokenRequest(
    const std::string& realm, absl::string_view service,
    absl::string_view scope) const {
  ASSIGN_OR_RETURN(const std::string origin, UrlOrigin(realm));
  ASSIGN_OR_RETURN(const std::string own_origin, UrlOrigin(host_.url));
  const bool secret =
      !credentials_.username.empty() || !credentials_.identity_token.empty();
  if (secret && absl::StartsWith(own_origin, "https:") &&
      !absl::StartsWith(origin, "https:")) {
    return absl::PermissionDeniedError(
        "credentials are not sent to a token server over plain http");
  }
  HttpRequest request;
  request.max_body = kMaxTokenAnswer;
  request.timeout = kTokenTimeout;
  request.tls.ca_pem = host_.tls.ca_pem;
  if (WithoutPort(origin) == WithoutPort(own_origin)) request.tls = host_.tls;

  std::string query = absl::StrCat("service=", QueryEscape(service),
                                   "&scope=", QueryEscape(scope));
  if (!credentials_.identity_token.empty()) {
    request.method = HttpMethod::kPost;
    request.url = realm;
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = absl::StrCat(
        query, "&grant_type=refresh_token&client_id=serai&refresh_token=",
        QueryEscape(credentials_.identity_token));
    return request;
  }
  if (!credentials_.username.empty()) {
    absl::StrAppend(&query, "&account=", QueryEscape(credentials_.username));
    request.origin_headers = {{"Authorization", BasicHeader(credentials_)}};
  }
  request.url =
      absl::StrCat(realm, absl::StrContains(realm, "?") ? "&" : "?", query);
  return request;
}

absl::Status Authorizer::FetchToken(const std::string& realm,
                                    absl::string_view service,
                                    absl::string_view scope) {
  const std::string where = absl::StrCat("token from ", UrlForMessage(realm));
  ASSIGN_OR_RETURN(const HttpRequest request,
                   TokenRequest(realm, service, scope), where);
  ASSIGN_OR_RETURN(const HttpResponse response, session_.Do(request),
                   "token from");
  if (response.status == 401 || response.status == 403 ||
      response.status == 400) {
    return absl::UnauthenticatedError(
        absl::StrCat(where, ": refused with HTTP status ", response.status));
  }
  if (response.status != 200) {
    return absl::UnavailableError(
        absl::StrCat(where, ": HTTP status ", response.status));
  }
  ASSIGN_OR_RETURN(const std::string token, TokenOf(response.body), where);
  authorization_ = absl::StrCat("Bearer ", token);
  return absl::OkStatus();
}

}  // namespace serai::oci
