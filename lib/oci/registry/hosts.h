// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a registry is really reached: mirrors, certificates and plain HTTP, as
// configured by hosts.toml files in containerd's directory shape:
//
//   <config_path>/<host[:port]>/hosts.toml      (or <host>_<port>_/)
//   <config_path>/_default/hosts.toml           for all others
//
// Of that file: server, [host."URL"] with capabilities, ca, client,
// skip_verify, override_path and header; the same keys at the top are the
// server's. Other keys are ignored, as containerd does.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/registry/http.h"

namespace serai::oci {

// One place that serves a registry's content.
struct RegistryHost {
  std::string url;   // API root without a slash at its end: "https://r:5000/v2"
  std::string host;  // "r:5000"
  bool can_pull = true;     // blobs, and manifests by digest
  bool can_resolve = true;  // manifests by tag
  bool can_push = true;
  // Stands in for another registry, which it is told by the query "ns=".
  bool mirror = false;
  TlsOptions tls;
  // Paths read into tls.ca_pem by ResolveHosts.
  std::vector<std::string> ca_files;
  HttpHeaders headers;  // sent to this host only
};

// The registry itself, without any configuration: HTTPS, but plain HTTP for a
// loopback host; docker.io is reached as registry-1.docker.io.
RegistryHost DefaultHost(absl::string_view registry);

// The hosts of a hosts.toml, in the file's order, the registry's own server
// last. Relative paths in it are below `directory`. INVALID_ARGUMENT with line
// and column for text that is no TOML or has a key of the wrong kind. Reads no
// file.
absl::StatusOr<std::vector<RegistryHost>> ParseHostsToml(
    absl::string_view text, absl::string_view registry,
    const std::string& directory);

// The places to try for `registry`, in order; never empty. An empty
// `config_path`, or one with nothing for this registry, gives DefaultHost().
// Reads the files anew each time, so that a change needs no restart.
absl::StatusOr<std::vector<RegistryHost>> ResolveHosts(
    const std::string& config_path, absl::string_view registry);

}  // namespace serai::oci
