// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/initramfs.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/base/status.h"
#include "tests/support/require.h"

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

absl::Status Initramfs::CopyTree(const std::string& name,
                                 const std::string& path) {
  if (!std::filesystem::is_directory(path)) return CopyFile(name, path);
  AddDirectory(name);
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, ListDir(path));
  for (const std::string& entry : entries) {
    RETURN_IF_ERROR(CopyTree(JoinPath(name, entry), JoinPath(path, entry)));
  }
  return absl::OkStatus();
}

absl::Status Initramfs::AddModules(absl::string_view list) {
  const std::string dir = VmKernelDir();
  ASSIGN_OR_RETURN(const std::string order,
                   ReadFile(JoinPath(dir, list), kMaxFile));
  AddDirectory("modules");
  AddFile("modules/order", order);
  for (const absl::string_view name :
       absl::StrSplit(order, '\n', absl::SkipEmpty())) {
    const std::string file = absl::StrCat(name, ".ko");
    RETURN_IF_ERROR(CopyFile("modules/" + file, JoinPath(dir, file)));
  }
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
