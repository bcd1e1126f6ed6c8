// SPDX-License-Identifier: Apache-2.0
// A layer as the unpacker reads it: compressed or not, then a tar.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/tar_reader.h"
#include "tests/fuzz/check.h"

namespace serai::oci {
namespace {

constexpr int64_t kMaxBytes = 4 << 20;
constexpr int kMaxEntries = 1000;

void ReadLayer(int fd) {
  absl::StatusOr<Decompressor> stream = Decompressor::Open(fd, kMaxBytes);
  if (!stream.ok()) return;
  auto tar = TarReader::Open([&] { return stream->Next(); });
  if (!tar.ok()) return;
  TarEntry entry;
  int64_t taken = 0;
  for (int i = 0; i < kMaxEntries; ++i) {
    const absl::StatusOr<bool> more = (*tar)->Next(&entry);
    if (!more.ok() || !*more) return;
    FUZZ_CHECK(!entry.path.empty());
    FUZZ_CHECK(entry.size >= 0);
    const absl::Status read =
        (*tar)->ReadContent([&](int64_t offset, absl::string_view data) {
          FUZZ_CHECK(!data.empty());
          taken += static_cast<int64_t>(data.size());
          return offset < 0 || offset > entry.size
                     ? absl::InvalidArgumentError("beyond the end")
                     : absl::OkStatus();
        });
    // No more comes out of the tar than has gone in.
    FUZZ_CHECK(taken <= kMaxBytes);
    if (!read.ok()) return;
  }
}

}  // namespace
}  // namespace serai::oci

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const serai::UniqueFd fd(::memfd_create("layer", MFD_CLOEXEC));
  if (!fd.valid()) return 0;
  if (!serai::WriteAll(fd.get(), serai::fuzz::Text(data, size)).ok()) return 0;
  ::lseek(fd.get(), 0, SEEK_SET);
  serai::oci::ReadLayer(fd.get());
  return 0;
}
