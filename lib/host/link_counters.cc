// SPDX-License-Identifier: Apache-2.0
#include "lib/host/link_counters.h"

#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"

namespace serai::host {
namespace {

constexpr size_t kMaxNetDevBytes = 16 << 20;  // a node has a link for each pod
// Eight columns of what was received, eight of what was sent, each beginning
// with bytes, packets, errors, dropped.
constexpr size_t kColumns = 16;
constexpr size_t kSent = 8;

TrafficCounters From(const uint64_t* columns) {
  return TrafficCounters{columns[0], columns[1], columns[2], columns[3]};
}

}  // namespace

absl::StatusOr<LinkCounters> ParseLinkCounters(absl::string_view net_dev,
                                               absl::string_view link) {
  for (const absl::string_view line : absl::StrSplit(net_dev, '\n')) {
    const size_t colon = line.rfind(':');
    if (colon == absl::string_view::npos ||
        absl::StripAsciiWhitespace(line.substr(0, colon)) != link) {
      continue;
    }
    const std::vector<absl::string_view> words =
        absl::StrSplit(line.substr(colon + 1), ' ', absl::SkipEmpty());
    std::array<uint64_t, kColumns> columns = {};
    for (size_t i = 0; i < columns.size(); ++i) {
      if (i >= words.size() || !absl::SimpleAtoi(words[i], &columns[i])) {
        return absl::DataLossError(
            absl::StrCat("the counters of ", link, " are malformed"));
      }
    }
    return LinkCounters{From(columns.data()), From(columns.data() + kSent)};
  }
  return absl::NotFoundError(absl::StrCat("no link ", link));
}

absl::StatusOr<LinkCounters> ReadLinkCounters(int netns_fd,
                                              const std::string& link) {
  LinkCounters counters;
  const auto read = [&]() -> absl::Status {
    // The main thread's, /proc/net, is another namespace.
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFile("/proc/thread-self/net/dev", kMaxNetDevBytes));
    ASSIGN_OR_RETURN(counters, ParseLinkCounters(text, link));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(netns_fd < 0 ? read() : RunInNetns(netns_fd, read));
  return counters;
}

}  // namespace serai::host
