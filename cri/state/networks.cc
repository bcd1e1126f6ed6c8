// SPDX-License-Identifier: Apache-2.0
#include "cri/state/networks.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace serai::cri {
namespace {

// Of every pod whose containers' records name no taps.
constexpr char kOnlyTap[] = "serai0";

// A link's name has 15 characters; the last ones of a plugin's tap tell it
// from others.
std::string Stem(const std::string& own) {
  constexpr size_t kLongest = 13;
  return absl::StrCat(own.substr(own.size() - std::min(own.size(), kLongest)),
                      "-");
}

}  // namespace

std::vector<state::v1::PodNetwork> NetworksOf(
    const state::v1::PodRecord& record) {
  std::vector<state::v1::PodNetwork> networks = {record.network()};
  networks.front().set_tap(record.tap());
  networks.insert(networks.end(), record.more_networks().begin(),
                  record.more_networks().end());
  return networks;
}

std::string FurtherTapName(const std::string& own, int number) {
  return absl::StrCat(Stem(own), number);
}

bool IsTapAt(const std::string& tap, const std::string& own) {
  return tap == own || absl::StartsWith(tap, Stem(own));
}

std::vector<std::string> TapsOf(const state::v1::ContainerRecord& record) {
  if (record.takes_interface() && record.taps().empty()) return {kOnlyTap};
  return {record.taps().begin(), record.taps().end()};
}

}  // namespace serai::cri
