// SPDX-License-Identifier: Apache-2.0
// A guest's file as an attacker would write it.
#include <sys/mman.h>

#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/solo5/unikernel.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::solo5;  // NOLINT(google-build-using-namespace)
  const serai::UniqueFd fd(::memfd_create("unikernel", MFD_CLOEXEC));
  FUZZ_CHECK(serai::WriteAll(fd.get(), serai::fuzz::Text(data, size)).ok());
  Unikernel unikernel = {};
  Error error;
  if (!ReadUnikernel(fd.get(), &unikernel, &error)) {
    FUZZ_CHECK(error.problem != Problem::kNone);
    FUZZ_CHECK(error.message[0] != '\0');
    return 0;
  }
  uint64_t end = kMinLoadAddress;
  for (const Segment& segment : unikernel.LoadedSegments()) {
    FUZZ_CHECK(segment.PageStart() >= end);
    FUZZ_CHECK(segment.file_size > 0);
    FUZZ_CHECK(segment.file_size <= segment.memory_size);
    FUZZ_CHECK(segment.file_offset <= size);
    FUZZ_CHECK(segment.file_size <= size - segment.file_offset);
    FUZZ_CHECK(!(segment.writable && segment.executable));
    end = segment.PageEnd();
  }
  FUZZ_CHECK(end <= unikernel.lowest_memory);
  FUZZ_CHECK(unikernel.manifest.entry_count >= 1);
  FUZZ_CHECK(unikernel.manifest.entry_count <= kMaxManifestEntries);
  return 0;
}
