// SPDX-License-Identifier: Apache-2.0
#pragma once

// Content digests as OCI writes them (image-spec descriptor.md, "Digests").
// Only sha256 is spoken: it is what every registry and builder produces.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

// "sha256:" and 64 lower-case hexadecimal digits; or empty, when default-made.
// A value of this type is safe as a file name and in a URL.
class Digest {
 public:
  Digest() = default;

  // INVALID_ARGUMENT for anything but the form above.
  static absl::StatusOr<Digest> Parse(absl::string_view text);

  bool empty() const { return text_.empty(); }
  // "sha256:…".
  const std::string& ToString() const { return text_; }
  // The 64 digits alone.
  absl::string_view hex() const;

  friend bool operator==(const Digest& a, const Digest& b) {
    return a.text_ == b.text_;
  }
  friend bool operator<(const Digest& a, const Digest& b) {
    return a.text_ < b.text_;
  }

 private:
  friend class Sha256;
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// Hashes a stream. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view data);
  // The digest of all that was given. Call once; nothing may follow.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Digest DigestOf(absl::string_view data);

// The digest of what `fd` gives from its present position to its end.
absl::StatusOr<Digest> DigestOfFile(int fd);

}  // namespace serai::oci
