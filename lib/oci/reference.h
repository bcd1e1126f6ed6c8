// SPDX-License-Identifier: Apache-2.0
#pragma once

// Image references as people write them, brought to the one form that the
// container world agrees on: "web" is docker.io/library/web:latest. The grammar
// is that of the distribution specification.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/digest.h"

namespace serai::oci {

// A validated reference: registry and repository are always there, and a tag, a
// digest or both. Immutable.
class Reference {
 public:
  // INVALID_ARGUMENT with the text and what is wrong with it. A reference with
  // neither tag nor digest gets the tag "latest".
  static absl::StatusOr<Reference> Parse(absl::string_view text);

  // "docker.io", "localhost:5000", "[::1]:5000".
  const std::string& registry() const { return registry_; }
  // "library/web": without the registry.
  const std::string& repository() const { return repository_; }
  // Empty when only a digest was given.
  const std::string& tag() const { return tag_; }
  const std::optional<Digest>& digest() const { return digest_; }

  // "docker.io/library/web".
  std::string Name() const;
  // "docker.io/library/web:1", "…@sha256:…" or "…:1@sha256:…".
  std::string ToString() const;
  // As short as Parse reads back to the same: "web:1".
  std::string Familiar() const;
  // "docker.io/library/web:1"; empty without a tag.
  std::string Tagged() const;
  // "docker.io/library/web@<digest>", whatever this one's tag and digest are.
  std::string WithDigest(const Digest& digest) const;

  friend bool operator==(const Reference& a, const Reference& b) {
    return a.ToString() == b.ToString();
  }

 private:
  Reference() = default;
  std::string Suffix() const;

  std::string registry_;
  std::string repository_;
  std::string tag_;
  std::optional<Digest> digest_;
};

// A repository's name with its registry ("HOST[:PORT]/path"), or a pattern of
// such names, in the one spelling that stands for all of what leads to the same
// registry without asking anybody: lower-case, without the port 443, Docker
// Hub's hosts as docker.io. For comparisons only: "docker.io/library/web".
std::string CanonicalName(absl::string_view name);

}  // namespace serai::oci
