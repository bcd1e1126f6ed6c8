// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"

namespace serai::oci {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;
constexpr int kLeastRsaBits = 2048;
constexpr char kPayloadType[] = "cosign container image signature";

const unsigned char* Bytes(absl::string_view text) {
  const void* data = text.data();
  return static_cast<const unsigned char*>(data);
}

}  // namespace

std::string SignatureTag(const Digest& image) {
  return absl::StrCat("sha256-", image.hex(), ".sig");
}

absl::StatusOr<Digest> SignedDigest(absl::string_view payload) {
  const auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("signature payload: ", what));
  };
  if (payload.size() > kMaxSignaturePayload) return bad("too long");
  const auto shallow = [](int depth, Json::parse_event_t, Json&) {
    return depth <= kMaxDepth;
  };
  const Json json = Json::parse(payload.begin(), payload.end(), shallow,
                                /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("critical")) {
    return bad("no \"critical\" in it");
  }
  const Json& critical = json["critical"];
  if (!critical.is_object() || !critical.contains("type") ||
      critical["type"] != kPayloadType) {
    return bad("not that of a container image");
  }
  const auto image = critical.find("image");
  if (image == critical.end() || !image->is_object() ||
      !image->contains("docker-manifest-digest") ||
      !(*image)["docker-manifest-digest"].is_string()) {
    return bad("names no manifest");
  }
  return Digest::Parse(
      (*image)["docker-manifest-digest"].get_ref<const std::string&>());
}

absl::StatusOr<PublicKey> PublicKey::FromPem(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::shared_ptr<EVP_PKEY> key(
      bio == nullptr
          ? nullptr
          : PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr),
      EVP_PKEY_free);
  if (key == nullptr) {
    return absl::InvalidArgumentError("not a public key in PEM");
  }
  const int kind = EVP_PKEY_base_id(key.get());
  const bool known =
      kind == EVP_PKEY_EC || kind == EVP_PKEY_ED25519 ||
      (kind == EVP_PKEY_RSA && EVP_PKEY_bits(key.get()) >= kLeastRsaBits);
  if (!known) {
    return absl::InvalidArgumentError(
        "a key of another kind than ECDSA, Ed25519 and RSA with 2048 bits or "
        "more");
  }
  return PublicKey(std::move(key));
}

bool PublicKey::Verifies(absl::string_view payload,
                         absl::string_view signature) const {
  std::string raw;
  if (!absl::Base64Unescape(signature, &raw)) return false;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (context == nullptr) return false;
  // Ed25519 takes the message itself.
  const EVP_MD* const digest =
      EVP_PKEY_base_id(key_.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  return EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr,
                              key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(raw), raw.size(), Bytes(payload),
                          payload.size()) == 1;
}

}  // namespace serai::oci
