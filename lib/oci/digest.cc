// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace serai::oci {
namespace {

constexpr char kPrefix[] = "sha256:";
constexpr size_t kPrefixLength = sizeof(kPrefix) - 1;
constexpr size_t kHexLength = 64;
constexpr size_t kReadChunk = 64 * 1024;

bool IsLowerHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// OpenSSL fails here only for want of memory, which nothing survives anyway.
void Require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  absl::string_view hex = text;
  if (!absl::ConsumePrefix(&hex, kPrefix)) {
    return absl::InvalidArgumentError(
        absl::StrCat("digest \"", absl::CHexEscape(text.substr(0, 80)),
                     "\" does not begin with \"sha256:\""));
  }
  if (hex.size() != kHexLength ||
      !std::all_of(hex.begin(), hex.end(), IsLowerHex)) {
    return absl::InvalidArgumentError(
        absl::StrCat("digest \"", absl::CHexEscape(text.substr(0, 80)),
                     "\" is not 64 lower-case hexadecimal digits"));
  }
  return Digest(std::string(text));
}

absl::string_view Digest::hex() const {
  absl::string_view view(text_);
  if (!view.empty()) view.remove_prefix(kPrefixLength);
  return view;
}

struct Sha256::Context {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> md;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  context_->md.reset(EVP_MD_CTX_new());
  Require(context_->md != nullptr &&
          EVP_DigestInit_ex(context_->md.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(absl::string_view data) {
  Require(EVP_DigestUpdate(context_->md.get(), data.data(), data.size()) == 1);
}

Digest Sha256::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int length = 0;
  Require(EVP_DigestFinal_ex(context_->md.get(), bytes.data(), &length) == 1);
  const std::string raw(bytes.begin(), bytes.begin() + length);
  return Digest(absl::StrCat(kPrefix, absl::BytesToHexString(raw)));
}

Digest DigestOf(absl::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.Finish();
}

absl::StatusOr<Digest> DigestOfFile(int fd) {
  Sha256 hash;
  std::vector<char> chunk(kReadChunk);
  for (;;) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n == 0) return hash.Finish();
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "read");
    }
    hash.Update(absl::string_view(chunk.data(), static_cast<size_t>(n)));
  }
}

}  // namespace serai::oci
