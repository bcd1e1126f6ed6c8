// SPDX-License-Identifier: Apache-2.0
#include "cli/pull_display.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/output.h"

namespace serai::cli {
namespace {

using control::v1::LayerProgress;
using control::v1::PullProgress;

constexpr absl::Duration kPlainEvery = absl::Seconds(5);
constexpr size_t kBarWidth = 30;

std::string Bytes(int64_t bytes) {
  return HumanBytes(static_cast<uint64_t>(std::max<int64_t>(bytes, 0)));
}

std::string Bar(const LayerProgress& layer) {
  const int64_t size = std::max<int64_t>(layer.size(), 1);
  const int64_t received = std::clamp<int64_t>(layer.received(), 0, size);
  const double share =
      static_cast<double>(received) / static_cast<double>(size);
  const auto full = static_cast<size_t>(share * static_cast<double>(kBarWidth));
  return absl::StrCat("[", std::string(full, '='),
                      std::string(kBarWidth - full, ' '), "]");
}

bool IsWhole(const LayerProgress& layer) {
  return layer.received() >= layer.size();
}

// "3 of 5 layers, 12.0 MiB of 40.0 MiB".
std::string Sum(const PullProgress& progress) {
  int64_t received = 0;
  int64_t size = 0;
  for (const LayerProgress& layer : progress.layers()) {
    received += layer.received();
    size += layer.size();
  }
  const auto whole = std::count_if(progress.layers().begin(),
                                   progress.layers().end(), IsWhole);
  return absl::StrCat(whole, " of ", progress.layers_size(), " layers, ",
                      Bytes(received), " of ", Bytes(size));
}

std::string Line(const PullProgress& progress) {
  switch (progress.stage()) {
    case PullProgress::RESOLVING:
      return "asking the registry";
    case PullProgress::UNPACKING:
      return "unpacking";
    case PullProgress::DONE:
      return "done";
    default:
      return absl::StrCat("downloading: ", Sum(progress));
  }
}

}  // namespace

void PullDisplay::Show(const PullProgress& progress) {
  terminal_ ? ShowLines(progress) : ShowNow(progress);
}

void PullDisplay::ShowLines(const PullProgress& progress) {
  std::vector<std::string> lines;
  for (const LayerProgress& layer : progress.layers()) {
    lines.push_back(absl::StrCat(ShortImageId(layer.digest()), " ", Bar(layer),
                                 " ", Bytes(layer.received()), " of ",
                                 Bytes(layer.size())));
  }
  const std::string rate =
      progress.stage() == PullProgress::DOWNLOADING
          ? absl::StrCat(", ", Bytes(progress.bytes_per_second()), "/s")
          : "";
  lines.push_back(absl::StrCat(Line(progress), rate));
  // Up to the first line, and all from there on cleared.
  if (lines_ > 0) out_ << "\x1b[" << lines_ << "A\x1b[J";
  for (const std::string& line : lines) out_ << Printable(line) << '\n';
  lines_ = lines.size();
  out_.flush();
}

void PullDisplay::ShowNow(const PullProgress& progress) {
  const std::string line = Line(progress);
  const absl::Time now = absl::Now();
  const bool is_number = progress.stage() == PullProgress::DOWNLOADING;
  if (line == said_ || (is_number && now - said_at_ < kPlainEvery)) return;
  said_ = line;
  said_at_ = is_number ? now : absl::InfinitePast();
  out_ << Printable(line) << std::endl;
}

}  // namespace serai::cli
