// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/tls.h"

#include <openssl/ssl.h>

#include <string>

namespace serai::cri::streaming {
namespace {

using boost::asio::ssl::context;
using boost::system::error_code;

absl::Status Bad(const char* key, const std::string& file, error_code error) {
  return absl::InvalidArgumentError(
      absl::StrCat(key, " ", file, ": ", error.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<context>> TlsContext(
    const ServerOptions& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "tls_certificate and tls_key are to be set both, or neither");
  }
  if (options.tls_certificate.empty()) {
    if (!options.tls_client_ca.empty()) {
      return absl::InvalidArgumentError(
          "tls_client_ca needs tls_certificate and tls_key");
    }
    return std::unique_ptr<context>();
  }
  auto tls = std::make_unique<context>(context::tls_server);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(tls->native_handle(), SSL_OP_NO_RENEGOTIATION);
  // Sessions that clients resume have to be of this server.
  static constexpr unsigned char kContext[] = "serai";
  SSL_CTX_set_session_id_context(tls->native_handle(), kContext,
                                 sizeof(kContext));
  error_code error;
  tls->use_certificate_chain_file(options.tls_certificate, error);
  if (error) return Bad("tls_certificate", options.tls_certificate, error);
  // Also when it is not the certificate's.
  tls->use_private_key_file(options.tls_key, context::pem, error);
  if (error) return Bad("tls_key", options.tls_key, error);
  if (!options.tls_client_ca.empty()) {
    tls->load_verify_file(options.tls_client_ca, error);
    if (error) return Bad("tls_client_ca", options.tls_client_ca, error);
    tls->set_verify_mode(boost::asio::ssl::verify_peer |
                         boost::asio::ssl::verify_fail_if_no_peer_cert);
  }
  return tls;
}

}  // namespace serai::cri::streaming
