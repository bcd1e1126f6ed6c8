// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writes a tar that depends on nothing but the names and contents given: POSIX
// ustar, owner 0, time 0. Written here and not by a library so that the bytes,
// and with them an image's digest, are the same with every version of it.

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

// One thread. After an error nothing more may be called.
class TarWriter {
 public:
  // Takes the bytes in order.
  using Sink = std::function<absl::Status(absl::string_view)>;

  explicit TarWriter(Sink sink) : sink_(std::move(sink)) {}

  // `name` is relative, and of at most 100 bytes, or it has a slash with at
  // most 155 bytes before it and 100 behind it; INVALID_ARGUMENT otherwise. A
  // directory's name ends in "/".
  absl::Status AddDirectory(absl::string_view name, uint32_t mode = 0755);
  absl::Status AddFile(absl::string_view name, uint32_t mode,
                       absl::string_view data);
  // Copies `size` bytes from where `fd` stands; DATA_LOSS when it has fewer.
  absl::Status AddFile(absl::string_view name, uint32_t mode, int fd,
                       int64_t size);
  // The end of the archive. Call once.
  absl::Status Finish();

 private:
  absl::Status Header(absl::string_view name, uint32_t mode, int64_t size,
                      char type);
  absl::Status Pad(int64_t size);

  Sink sink_;
};

}  // namespace serai::oci
