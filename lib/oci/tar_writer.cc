// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/tar_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace serai::oci {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kCopyChunk = 64 * 1024;
constexpr int64_t kMaxSize = 077777777777;  // eleven octal digits

// POSIX.1-2001, pax, "ustar Interchange Format".
struct UstarHeader {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char typeflag;
  char linkname[100];
  char magic[6];
  char version[2];
  char uname[32];
  char gname[32];
  char devmajor[8];
  char devminor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(UstarHeader) == kBlock);

template <size_t N>
void PutOctal(char (&field)[N], uint64_t value) {
  for (size_t i = N - 1; i-- > 0; value /= 8) {
    field[i] = static_cast<char>('0' + value % 8);
  }
  field[N - 1] = '\0';
}

// A long name goes into both fields, parted at a slash that is in neither.
absl::Status PutName(absl::string_view name, UstarHeader& header) {
  if (name.empty() || name[0] == '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is no name for a tar entry"));
  }
  if (name.size() > sizeof(header.name)) {
    const size_t slash = name.find('/', name.size() - sizeof(header.name) - 1);
    if (slash == absl::string_view::npos || slash + 1 == name.size() ||
        slash > sizeof(header.prefix)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", name, "\" is no name for a tar entry: it has ", name.size(),
          " bytes, and no slash with at most ", sizeof(header.prefix),
          " bytes before it and ", sizeof(header.name), " behind it"));
    }
    std::memcpy(header.prefix, name.data(), slash);
    name.remove_prefix(slash + 1);
  }
  std::memcpy(header.name, name.data(), name.size());
  return absl::OkStatus();
}

}  // namespace

absl::Status TarWriter::Header(absl::string_view name, uint32_t mode,
                               int64_t size, char type) {
  UstarHeader header = {};
  RETURN_IF_ERROR(PutName(name, header));
  if (size < 0 || size > kMaxSize) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", size, " bytes do not fit in a tar"));
  }
  PutOctal(header.mode, mode);
  PutOctal(header.uid, 0);
  PutOctal(header.gid, 0);
  PutOctal(header.size, static_cast<uint64_t>(size));
  PutOctal(header.mtime, 0);
  header.typeflag = type;
  std::memcpy(header.magic, "ustar", sizeof(header.magic));
  std::memcpy(header.version, "00", sizeof(header.version));
  PutOctal(header.devmajor, 0);
  PutOctal(header.devminor, 0);
  // The sum is taken with its own field as spaces.
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  std::array<unsigned char, kBlock> bytes;
  std::memcpy(bytes.data(), &header, kBlock);
  uint64_t sum = 0;
  for (const unsigned char byte : bytes) sum += byte;
  char digits[7];
  PutOctal(digits, sum);
  std::memcpy(header.checksum, digits, sizeof(digits));
  std::memcpy(bytes.data(), &header, kBlock);
  const std::string block(bytes.begin(), bytes.end());
  return sink_(block);
}

absl::Status TarWriter::Pad(int64_t size) {
  const size_t tail = static_cast<size_t>(size) % kBlock;
  if (tail == 0) return absl::OkStatus();
  return sink_(std::string(kBlock - tail, '\0'));
}

absl::Status TarWriter::AddDirectory(absl::string_view name, uint32_t mode) {
  return Header(name, mode, 0, '5');
}

absl::Status TarWriter::AddFile(absl::string_view name, uint32_t mode,
                                absl::string_view data) {
  const int64_t size = static_cast<int64_t>(data.size());
  RETURN_IF_ERROR(Header(name, mode, size, '0'));
  RETURN_IF_ERROR(sink_(data));
  return Pad(size);
}

absl::Status TarWriter::AddFile(absl::string_view name, uint32_t mode, int fd,
                                int64_t size) {
  RETURN_IF_ERROR(Header(name, mode, size, '0'));
  std::vector<char> chunk(kCopyChunk);
  for (int64_t left = size; left > 0;) {
    const size_t want = static_cast<size_t>(
        std::min<int64_t>(left, static_cast<int64_t>(chunk.size())));
    const ssize_t n = ::read(fd, chunk.data(), want);
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("read ", name));
    }
    if (n == 0) {
      return absl::DataLossError(
          absl::StrCat(name, ": ends ", left, " bytes too early"));
    }
    RETURN_IF_ERROR(
        sink_(absl::string_view(chunk.data(), static_cast<size_t>(n))));
    left -= n;
  }
  return Pad(size);
}

absl::Status TarWriter::Finish() {
  return sink_(std::string(2 * kBlock, '\0'));
}

}  // namespace serai::oci
