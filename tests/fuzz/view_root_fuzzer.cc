// SPDX-License-Identifier: Apache-2.0
// What containerd may give for a view. A line each: type, source, target,
// options; an empty line ends a mount.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "cri/containerd/view_root.h"
#include "cri/image/root.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::cri;  // NOLINT(google-build-using-namespace)
  std::vector<ViewMount> mounts;
  int line = 0;
  for (const absl::string_view text :
       absl::StrSplit(serai::fuzz::Text(data, size), '\n')) {
    if (text.empty() && line > 2) {
      line = 0;
      continue;
    }
    if (line == 0) mounts.emplace_back();
    ViewMount& mount = mounts.back();
    switch (line++) {
      case 0:
        mount.type = std::string(text);
        break;
      case 1:
        mount.source = std::string(text);
        break;
      case 2:
        mount.target = std::string(text);
        break;
      default:
        mount.options.emplace_back(text);
    }
  }
  const auto directories = ViewDirectories(mounts);
  if (!directories.ok()) return 0;
  FUZZ_CHECK(!directories->empty());
  FUZZ_CHECK(OverlayOption(*directories).size() <= kMaxMountOptions);
  for (const std::string& directory : *directories) {
    FUZZ_CHECK(directory.size() > 1 && directory[0] == '/');
    FUZZ_CHECK(!absl::StrContains(directory + "/", "/../"));
    FUZZ_CHECK(directory.find_first_of(",:\\") == directory.npos);
  }
  return 0;
}
