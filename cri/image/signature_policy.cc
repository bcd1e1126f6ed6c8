// SPDX-License-Identifier: Apache-2.0
#include "cri/image/signature_policy.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "cri/image/pattern.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr char kMark[] = "serai.dev/signature";
constexpr size_t kMaxKey = 64 << 10;
constexpr size_t kMaxSignatures = 32;

absl::Status Invalid(absl::string_view why) {
  absl::Status status = absl::PermissionDeniedError(why);
  status.SetPayload(kMark, absl::Cord("invalid"));
  return status;
}

absl::StatusOr<std::vector<oci::PublicKey>> ReadKeys(
    const SignaturePolicy& policy) {
  std::vector<oci::PublicKey> keys;
  for (const std::string& path : policy.keys) {
    const absl::StatusOr<std::string> pem = ReadFile(path, kMaxKey);
    // Without the key nothing can be said to be signed.
    if (!pem.ok()) return Invalid(pem.status().message());
    absl::StatusOr<oci::PublicKey> key = oci::PublicKey::FromPem(*pem);
    if (!key.ok()) {
      return Invalid(absl::StrCat(path, ": ", key.status().message()));
    }
    keys.push_back(*std::move(key));
  }
  return keys;
}

// The payload, if it is one of `digest` that one of the keys signed; else why
// not.
absl::Status CheckPayload(const oci::Descriptor& descriptor,
                          const std::vector<oci::PublicKey>& keys,
                          const oci::Digest& digest, ImageStore::Lease& lease,
                          const oci::Layout& layout,
                          oci::RegistryClient& client) {
  const auto signature = descriptor.annotations.find(oci::kAnnotationSignature);
  if (descriptor.media_type != oci::kMediaTypeSimpleSigning ||
      signature == descriptor.annotations.end()) {
    return Invalid("what is there is no signature");
  }
  if (descriptor.size > static_cast<int64_t>(oci::kMaxSignaturePayload)) {
    return Invalid("a signature's payload is too long");
  }
  lease.Keep(descriptor.digest);
  if (!layout.HasBlob(descriptor.digest)) {
    ASSIGN_OR_RETURN(oci::BlobWriter writer,
                     layout.StartBlob(descriptor.digest, descriptor.size));
    RETURN_IF_ERROR(client.GetBlob(descriptor, writer));
  }
  ASSIGN_OR_RETURN(const std::string payload,
                   layout.ReadBlob(descriptor.digest));
  const bool signed_by_one =
      std::any_of(keys.begin(), keys.end(), [&](const oci::PublicKey& key) {
        return key.Verifies(payload, signature->second);
      });
  if (!signed_by_one) return Invalid("it is signed by none of the keys");
  const absl::StatusOr<oci::Digest> named = oci::SignedDigest(payload);
  if (!named.ok()) return Invalid(named.status().message());
  return *named == digest ? absl::OkStatus()
                          : Invalid("a signature is another image's");
}

absl::Status CheckSigned(const SignaturePolicy& policy,
                         const oci::Digest& digest, ImageStore::Lease& lease,
                         const oci::Layout& layout,
                         oci::RegistryClient& client) {
  ASSIGN_OR_RETURN(const std::vector<oci::PublicKey> keys, ReadKeys(policy));
  const absl::StatusOr<oci::FetchedManifest> fetched =
      client.GetManifest(oci::SignatureTag(digest), oci::Digest());
  if (absl::IsNotFound(fetched.status())) return Invalid("it is not signed");
  RETURN_IF_ERROR(fetched.status(), "its signatures");
  const absl::StatusOr<oci::Manifest> manifest =
      oci::ParseManifest(fetched->content);
  if (!manifest.ok()) return Invalid(manifest.status().message());
  if (manifest->layers.empty()) return Invalid("it is not signed");
  absl::Status invalid;
  absl::Status failed;
  // The newest come last. Whoever may push there can add what is none, or can't
  // be fetched: that must not hide one that is good.
  const size_t count = manifest->layers.size();
  for (size_t i = 0; i < std::min(count, kMaxSignatures); ++i) {
    const absl::Status checked = CheckPayload(
        manifest->layers[count - 1 - i], keys, digest, lease, layout, client);
    if (checked.ok() || absl::IsCancelled(checked)) return checked;
    absl::Status& first = IsSignatureInvalid(checked) ? invalid : failed;
    first = FirstError(first, checked);
  }
  return failed.ok() ? invalid : failed;
}

// The registry's name may be spelled in other ways than in the policy, and the
// policy's too.
bool WantsSigned(const SignaturePolicy& policy, const std::string& name) {
  std::vector<std::string> patterns = policy.images;
  for (const std::string& pattern : policy.images) {
    patterns.push_back(oci::CanonicalName(pattern));
  }
  return MatchesAny(name, patterns) ||
         MatchesAny(oci::CanonicalName(name), patterns);
}

}  // namespace

bool IsSignatureInvalid(const absl::Status& status) {
  return status.GetPayload(kMark).has_value();
}

absl::Status CheckSignature(const SignaturePolicy& policy,
                            const oci::Reference& reference,
                            const oci::Digest& digest, ImageStore::Lease& lease,
                            const oci::Layout& layout,
                            oci::RegistryClient& client) {
  if (!WantsSigned(policy, reference.Name())) return absl::OkStatus();
  return Annotate(CheckSigned(policy, digest, lease, layout, client),
                  absl::StrCat("the policy wants ", reference.Name(),
                               " signed: ", digest.ToString()));
}

}  // namespace serai::cri
