// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>

#include "lib/solo5/internal.h"

namespace serai::solo5 {
namespace {

using internal::Fail;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9');
}

bool CheckName(const Manifest& manifest, size_t index, Error* error) {
  const char* name = manifest.entries[index].name;
  const size_t length = ::strnlen(name, kMaxDeviceName + 1);
  if (length == 0 || length > kMaxDeviceName) {
    return Fail(error, Problem::kDamaged,
                "manifest: the name of device %zu must have 1 to %zu "
                "characters",
                index, kMaxDeviceName);
  }
  for (size_t i = 0; i < length; ++i) {
    if (!IsNameCharacter(name[i])) {
      return Fail(error, Problem::kDamaged,
                  "manifest: the name of device %zu must be letters and "
                  "digits only",
                  index);
    }
  }
  for (size_t i = 1; i < index; ++i) {
    if (std::strcmp(manifest.entries[i].name, name) == 0) {
      return Fail(error, Problem::kDamaged,
                  "manifest: two devices have the name '%s'", name);
    }
  }
  return true;
}

}  // namespace

bool CheckManifest(const Manifest& manifest, Error* error) {
  const ManifestEntry& first = manifest.entries[0];
  if (first.type != DeviceType::kReservedFirst || first.name[0] != '\0') {
    return Fail(error, Problem::kDamaged,
                "manifest: the first entry must be the reserved one");
  }
  for (size_t i = 0; i < manifest.entry_count; ++i) {
    if (manifest.entries[i].attached != 0) {
      return Fail(error, Problem::kDamaged,
                  "manifest: device %zu claims to be attached already", i);
    }
    if (i > 0 && !CheckName(manifest, i, error)) return false;
  }
  return true;
}

namespace internal {

bool ReadManifest(int fd, const Note& note, Manifest* manifest, Error* error) {
  constexpr size_t kPadding =
      kManifestNoteContentOffset - kNoteDescriptorOffset;
  std::memset(manifest, 0, sizeof(*manifest));
  if (note.descriptor_size < kPadding + ManifestSize(1)) {
    return Fail(error, Problem::kDamaged,
                "manifest note does not fall within valid size: says %u bytes, "
                "at least %zu are needed",
                note.descriptor_size, kPadding + ManifestSize(1));
  }
  const size_t size = note.descriptor_size - kPadding;
  // The caller has checked the descriptor against its maximum, so it fits.
  if (!ReadExactly(fd, note.file_offset + kManifestNoteContentOffset, manifest,
                   size, "manifest note", error)) {
    return false;
  }
  if (manifest->version != kManifestVersion) {
    return Fail(error, Problem::kUnsupported,
                "manifest version %u is unknown; %u is needed",
                manifest->version, kManifestVersion);
  }
  if (manifest->entry_count < 1 ||
      manifest->entry_count > kMaxManifestEntries) {
    return Fail(error, Problem::kDamaged,
                "manifest: says %u entries, must be 1 to %zu",
                manifest->entry_count, kMaxManifestEntries);
  }
  if (ManifestSize(manifest->entry_count) != size) {
    return Fail(error, Problem::kDamaged,
                "manifest: %u entries need %zu bytes, the note has %zu",
                manifest->entry_count, ManifestSize(manifest->entry_count),
                size);
  }
  return CheckManifest(*manifest, error);
}

}  // namespace internal
}  // namespace serai::solo5
