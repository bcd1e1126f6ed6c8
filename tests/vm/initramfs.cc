// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/initramfs.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/file.h"
#include "lib/base/status.h"

namespace serai::testing {
namespace {

constexpr size_t kMaxFile = 64 << 20;
constexpr unsigned kProgram = S_IFREG | 0755;

}  // namespace

void Initramfs::AddDirectory(absl::string_view name) {
  AddEntry(name, S_IFDIR | 0755, "");
}

void Initramfs::AddFile(absl::string_view name, absl::string_view content) {
  AddEntry(name, kProgram, content);
}

absl::Status Initramfs::CopyFile(absl::string_view name,
                                 const std::string& path) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxFile));
  AddFile(name, content);
  return absl::OkStatus();
}

std::string Initramfs::Finish() {
  AddEntry("TRAILER!!!", 0, "");
  return std::move(archive_);
}

void Initramfs::AddEntry(absl::string_view name, unsigned mode,
                         absl::string_view content) {
  const auto pad = [this] { archive_.resize((archive_.size() + 3) / 4 * 4); };
  // Magic, inode, mode, user, group, links, time, size, four numbers of
  // devices, length of the name with its zero, checksum.
  absl::StrAppendFormat(&archive_, "070701%08x%08x%08x%08x%08x%08x%08x",
                        ++entries_, mode, 0, 0, 1, 0, content.size());
  absl::StrAppendFormat(&archive_, "%08x%08x%08x%08x%08x%08x", 0, 0, 0, 0,
                        name.size() + 1, 0);
  absl::StrAppend(&archive_, name);
  archive_.push_back('\0');
  pad();
  absl::StrAppend(&archive_, content);
  pad();
}

}  // namespace serai::testing
