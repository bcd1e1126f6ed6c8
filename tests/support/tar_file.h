// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tars as a builder, or an attacker, makes them: any name, any type.

#include <archive.h>
#include <archive_entry.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace serai::testing {

struct TarItem {
  std::string path;
  std::string content = {};
  unsigned type = AE_IFREG;  // AE_IFREG, AE_IFDIR, AE_IFLNK, AE_IFCHR, …
  unsigned mode = 0644;
  std::string link = {};  // the target of a symbolic link
  std::string hard = {};  // not empty: a hard link to this
};

enum class Compression { kNone, kGzip, kZstd };

inline std::string MakeTar(const std::vector<TarItem>& items,
                           Compression compression = Compression::kNone) {
  std::string out;
  archive* const writer = archive_write_new();
  if (compression == Compression::kGzip) archive_write_add_filter_gzip(writer);
  if (compression == Compression::kZstd) archive_write_add_filter_zstd(writer);
  archive_write_set_format_gnutar(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  const auto append = [](archive*, void* to, const void* data,
                         size_t size) -> la_ssize_t {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
  };
  EXPECT_EQ(archive_write_open(writer, &out, nullptr, append, nullptr),
            ARCHIVE_OK);
  for (const TarItem& item : items) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, item.path.c_str());
    archive_entry_set_filetype(entry, item.type);
    archive_entry_set_perm(entry, item.mode);
    archive_entry_set_size(entry, static_cast<la_int64_t>(item.content.size()));
    if (!item.link.empty()) {
      archive_entry_set_symlink(entry, item.link.c_str());
    }
    if (!item.hard.empty()) {
      archive_entry_set_hardlink(entry, item.hard.c_str());
    }
    EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK)
        << item.path << ": " << archive_error_string(writer);
    archive_write_data(writer, item.content.data(), item.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  return out;
}

}  // namespace serai::testing
