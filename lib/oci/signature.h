// SPDX-License-Identifier: Apache-2.0
#pragma once

// Signatures of images, as cosign makes them with a key of one's own: beside
// the image, under a tag made of its digest, lies a manifest whose layers are
// "simple signing" payloads that name the digest, each with a signature over
// its bytes in an annotation. Pure functions and values; any thread.

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/digest.h"

struct evp_pkey_st;

namespace serai::oci {

inline constexpr char kMediaTypeSimpleSigning[] =
    "application/vnd.dev.cosign.simplesigning.v1+json";
// Of a payload's descriptor: the signature, in base64.
inline constexpr char kAnnotationSignature[] =
    "dev.cosignproject.cosign/signature";
inline constexpr size_t kMaxSignaturePayload = 64 << 10;

// The tag that the signatures of an image are under: "sha256-<hex>.sig".
std::string SignatureTag(const Digest& image);

// The digest that a payload says is signed. INVALID_ARGUMENT for what is no
// payload of this kind.
absl::StatusOr<Digest> SignedDigest(absl::string_view payload);

class PublicKey {
 public:
  // INVALID_ARGUMENT for what is no "PUBLIC KEY" in PEM, or a key of another
  // kind than ECDSA, RSA (2048 bits at least) and Ed25519.
  static absl::StatusOr<PublicKey> FromPem(const std::string& pem);

  // Whether `signature`, in base64, is this key's over `payload` (by SHA-256
  // where the kind of key takes a digest).
  bool Verifies(absl::string_view payload, absl::string_view signature) const;

 private:
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace serai::oci
