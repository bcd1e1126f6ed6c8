// SPDX-License-Identifier: Apache-2.0
#pragma once

// URLs as the registry client sees them. The grammar is libcurl's, so that what
// is checked is what is dialled.

#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

// "https://host:port", the port always written, host in lower case.
// INVALID_ARGUMENT for anything but an http or https URL without user
// information.
absl::StatusOr<std::string> UrlOrigin(const std::string& url);

// "host/path" for messages: no scheme, user or query. What can't be parsed
// gives a fixed text.
std::string UrlForMessage(const std::string& url);

// The host alone, an IPv6 address in brackets; empty for what can't be parsed.
std::string UrlHost(const std::string& url);

// `reference`, absolute or not, as seen from `base`. INVALID_ARGUMENT when that
// is not a URL.
absl::StatusOr<std::string> ResolveUrl(const std::string& base,
                                       const std::string& reference);

// localhost, 127.0.0.0/8, [::1]; with or without a port.
bool IsLoopbackHost(absl::string_view host);

}  // namespace serai::oci
