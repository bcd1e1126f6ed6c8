// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/reference.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace serai::oci {
namespace {

constexpr char kDefaultRegistry[] = "docker.io";
constexpr char kOldDefaultRegistry[] = "index.docker.io";
constexpr absl::string_view kDefaultRegistryHosts[] = {
    kDefaultRegistry, kOldDefaultRegistry, "registry-1.docker.io",
    "registry.hub.docker.com"};
constexpr int kHttpsPort = 443;
constexpr char kOfficialPrefix[] = "library/";
constexpr char kDefaultTag[] = "latest";
constexpr size_t kMaxName = 255;
constexpr size_t kMaxTag = 128;

bool IsLowerAlnum(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c));
}
bool IsAlnum(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c));
}
bool IsDigit(char c) {
  return absl::ascii_isdigit(static_cast<unsigned char>(c));
}

// Lower-case letters and digits in runs, separated by one ".", one or two "_",
// or any number of "-".
bool IsPathComponent(absl::string_view text) {
  size_t i = 0;
  for (;;) {
    const size_t run = i;
    while (i < text.size() && IsLowerAlnum(text[i])) ++i;
    if (i == run) return false;
    if (i == text.size()) return true;
    const size_t separator = i;
    while (i < text.size() && !IsLowerAlnum(text[i])) ++i;
    const absl::string_view between = text.substr(separator, i - separator);
    const bool dashes = between.find_first_not_of('-') == between.npos;
    if (between != "." && between != "_" && between != "__" && !dashes) {
      return false;
    }
  }
}

bool IsTag(absl::string_view text) {
  if (text.empty() || text.size() > kMaxTag) return false;
  if (!IsAlnum(text[0]) && text[0] != '_') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlnum(c) || c == '_' || c == '.' || c == '-';
  });
}

bool IsHostLabel(absl::string_view label) {
  return !label.empty() && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return IsAlnum(c) || c == '-'; });
}

bool IsHost(absl::string_view host) {
  if (absl::ConsumePrefix(&host, "[")) {
    return absl::ConsumeSuffix(&host, "]") && !host.empty() &&
           std::all_of(host.begin(), host.end(), [](char c) {
             return absl::ascii_isxdigit(static_cast<unsigned char>(c)) ||
                    c == ':';
           });
  }
  const std::vector<absl::string_view> labels = absl::StrSplit(host, '.');
  return std::all_of(labels.begin(), labels.end(), IsHostLabel);
}

bool IsRegistry(absl::string_view text) {
  const size_t bracket = text.rfind(']');
  const size_t colon = text.rfind(':');
  if (colon == text.npos || (bracket != text.npos && colon < bracket)) {
    return IsHost(text);
  }
  const absl::string_view port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), IsDigit) &&
         IsHost(text.substr(0, colon));
}

// Whether the part before the first slash is a registry and not the beginning
// of a repository's path.
bool LooksLikeRegistry(absl::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != first.npos ||
         std::any_of(first.begin(), first.end(), [](char c) {
           return absl::ascii_isupper(static_cast<unsigned char>(c));
         });
}

// "sha256:" reads as a repository: an image that is tagged so must not be taken
// for the one with that id.
bool IsImageId(absl::string_view text) {
  absl::ConsumePrefix(&text, "sha256:");
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return IsDigit(c) || (c >= 'a' && c <= 'f');
         });
}

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "image reference \"", absl::CHexEscape(text.substr(0, 2 * kMaxName)),
      "\": ", why));
}

struct SplitName {
  std::string registry;
  std::string repository;
};

SplitName SplitRegistry(absl::string_view name) {
  const size_t slash = name.find('/');
  SplitName split{kDefaultRegistry, std::string(name)};
  if (slash != name.npos && LooksLikeRegistry(name.substr(0, slash))) {
    split.registry = std::string(name.substr(0, slash));
    split.repository = std::string(name.substr(slash + 1));
  }
  if (split.registry == kOldDefaultRegistry) split.registry = kDefaultRegistry;
  if (split.registry == kDefaultRegistry &&
      !absl::StrContains(split.repository, "/")) {
    split.repository = absl::StrCat(kOfficialPrefix, split.repository);
  }
  return split;
}

// "host:0443" is "host", "host:05000" is "host:5000".
std::string CanonicalPort(absl::string_view registry) {
  const size_t colon = registry.rfind(':');
  int port = 0;
  if (colon == registry.npos || absl::EndsWith(registry, "]") ||
      !absl::SimpleAtoi(registry.substr(colon + 1), &port)) {
    return std::string(registry);
  }
  const absl::string_view host = registry.substr(0, colon);
  return port == kHttpsPort ? std::string(host) : absl::StrCat(host, ":", port);
}

}  // namespace

absl::StatusOr<Reference> Reference::Parse(absl::string_view text) {
  Reference result;
  absl::string_view rest = text;
  if (rest.empty()) return Bad(text, "it is empty");
  if (IsImageId(rest)) return Bad(text, "that is an image id, not a name");
  if (const size_t at = rest.find('@'); at != rest.npos) {
    absl::StatusOr<Digest> digest = Digest::Parse(rest.substr(at + 1));
    if (!digest.ok()) return Bad(text, digest.status().message());
    result.digest_ = *std::move(digest);
    rest = rest.substr(0, at);
  }
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  if (colon != rest.npos && (slash == rest.npos || colon > slash)) {
    const absl::string_view tag = rest.substr(colon + 1);
    if (!IsTag(tag)) {
      return Bad(text,
                 "the tag must be 1 to 128 letters, digits, \"_\", \".\" or "
                 "\"-\", and not begin with \".\" or \"-\"");
    }
    result.tag_ = std::string(tag);
    rest = rest.substr(0, colon);
  }
  if (IsImageId(rest)) return Bad(text, "that is an image id, not a name");
  SplitName split = SplitRegistry(rest);
  if (!IsRegistry(split.registry)) {
    return Bad(text, absl::StrCat("\"", split.registry,
                                  "\" is not a registry's host[:port]"));
  }
  for (const absl::string_view part : absl::StrSplit(split.repository, '/')) {
    if (!IsPathComponent(part)) {
      return Bad(text, absl::StrCat("\"", absl::CHexEscape(part),
                                    "\" is not a repository name: lower-case "
                                    "letters and digits, with \".\", \"_\", "
                                    "\"__\" or \"-\" between"));
    }
  }
  result.registry_ = std::move(split.registry);
  result.repository_ = std::move(split.repository);
  if (result.Name().size() > kMaxName) {
    return Bad(text, absl::StrCat("the name is longer than ", kMaxName,
                                  " characters"));
  }
  if (result.tag_.empty() && !result.digest_) result.tag_ = kDefaultTag;
  return result;
}

std::string Reference::Name() const {
  return absl::StrCat(registry_, "/", repository_);
}

std::string Reference::Suffix() const {
  return absl::StrCat(tag_.empty() ? "" : ":", tag_, digest_ ? "@" : "",
                      digest_ ? digest_->ToString() : "");
}

std::string Reference::ToString() const {
  return absl::StrCat(Name(), Suffix());
}

std::string Reference::Familiar() const {
  if (registry_ != kDefaultRegistry) return ToString();
  absl::string_view path = repository_;
  absl::string_view inner = path;
  if (absl::ConsumePrefix(&inner, kOfficialPrefix) &&
      !absl::StrContains(inner, "/")) {
    path = inner;
  }
  // "localhost/x" and the like are read as a registry without the prefix.
  const size_t slash = path.find('/');
  if (slash != path.npos && LooksLikeRegistry(path.substr(0, slash))) {
    return ToString();
  }
  return absl::StrCat(path, Suffix());
}

std::string Reference::Tagged() const {
  return tag_.empty() ? "" : absl::StrCat(Name(), ":", tag_);
}

std::string Reference::WithDigest(const Digest& digest) const {
  return absl::StrCat(Name(), "@", digest.ToString());
}

std::string CanonicalName(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  const size_t slash = lower.find('/');
  if (slash == std::string::npos) return lower;
  std::string registry = CanonicalPort(lower.substr(0, slash));
  std::string path = lower.substr(slash + 1);
  const auto& hosts = kDefaultRegistryHosts;
  if (std::find(std::begin(hosts), std::end(hosts), registry) !=
      std::end(hosts)) {
    registry = kDefaultRegistry;
    const bool whole = path.find_first_of("/*") == std::string::npos;
    if (whole) path = kOfficialPrefix + path;
  }
  return absl::StrCat(registry, "/", path);
}

}  // namespace serai::oci
