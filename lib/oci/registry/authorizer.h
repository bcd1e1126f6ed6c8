// SPDX-License-Identifier: Apache-2.0
#pragma once

// Proves to a registry host who pulls or pushes: Basic, a given bearer token,
// or the token flow (distribution specification, "Token Authentication", and
// its OAuth2 form for identity tokens).

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/registry/hosts.h"
#include "lib/oci/registry/http.h"

namespace serai::oci {

// CRI's AuthConfig. All empty: anonymous. Nothing here is ever put into a
// message.
struct Credentials {
  std::string username;
  std::string password;
  std::string auth;            // base64 of "username:password"
  std::string identity_token;  // exchanged for a bearer token
  std::string registry_token;  // a bearer token as it is
  // Where they are valid, "host", "host/path" or a URL; empty: the registry
  // that the image's reference names, and no mirror of it.
  std::string server_address;
};

// Unpacks `auth`; INVALID_ARGUMENT when it is not what it should be.
absl::StatusOr<Credentials> NormalizeCredentials(Credentials credentials);

// The credentials if `host` may see them, else anonymous ones. `registry` is
// the one of the reference.
Credentials CredentialsFor(const Credentials& credentials,
                           const RegistryHost& host,
                           absl::string_view registry);

// For one host and one scope ("repository:library/web:pull"); used by one
// thread with the session of its requests.
class Authorizer {
 public:
  // The session must outlive this.
  Authorizer(HttpSession* session, RegistryHost host, Credentials credentials,
             std::string scope)
      : session_(*session),
        host_(std::move(host)),
        credentials_(std::move(credentials)),
        scope_(std::move(scope)) {}

  // Value of the next request's Authorization header; empty: none (yet).
  const std::string& authorization() const { return authorization_; }

  // Takes up the challenge of a 401 answer of the host. OK: ask again with the
  // new authorization(). UNAUTHENTICATED or PERMISSION_DENIED when there is
  // nothing (more) to offer; or why no token was to be had.
  absl::Status Answer(const HttpResponse& unauthorized);

 private:
  absl::Status FetchToken(const std::string& realm, absl::string_view service,
                          absl::string_view scope);
  absl::StatusOr<HttpRequest> TokenRequest(const std::string& realm,
                                           absl::string_view service,
                                           absl::string_view scope) const;

  HttpSession& session_;
  const RegistryHost host_;
  const Credentials credentials_;
  const std::string scope_;
  std::string authorization_;
};

}  // namespace serai::oci
