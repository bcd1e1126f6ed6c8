// SPDX-License-Identifier: Apache-2.0
#include "cri/bundle/options_cache.h"

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/guest/ask_options.h"
#include "lib/oci/digest.h"
#include "lib/oci/json_reader.h"
#include "lib/oci/rootfs.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

constexpr size_t kMaxFile = 1 << 20;
// Full, it is emptied: what is in use is asked for again.
constexpr size_t kMaxFiles = 4096;
// Each may use as much memory as a small pod.
constexpr int kMaxAsking = 4;
constexpr absl::Duration kWaitForSlot = absl::Seconds(2);
// For as long is one that gave no answer not asked again.
constexpr absl::Duration kSilence = absl::Minutes(10);

// The image and what its unikernel answered.
struct Kept {
  std::string image;
  std::string answer;
};

absl::StatusOr<Kept> Read(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFile));
  const auto json = oci::ParseJson(text);
  if (!json || !json->is_object()) return oci::Bad(path, "is no JSON object");
  Kept kept;
  RETURN_IF_ERROR(oci::ReadString(*json, "", "image", kept.image));
  RETURN_IF_ERROR(oci::ReadString(*json, "", "answer", kept.answer));
  return kept;
}

void Warn(absl::string_view what, const absl::Status& status) {
  spdlog::warn("{}: {}", std::string(what), std::string(status.message()));
}

}  // namespace

OptionsCache::OptionsCache(std::string directory, std::string tender)
    : directory_(std::move(directory)), tender_(std::move(tender)) {}

std::string OptionsCache::PathOf(const Question& question) const {
  const oci::Digest digest =
      oci::DigestOf(absl::StrCat(question.image, "\n", question.path));
  return JoinPath(directory_, absl::StrCat(digest.hex(), ".json"));
}

void OptionsCache::Forget(
    absl::FunctionRef<bool(const std::string& image)> is_there) {
  const auto names = ListDir(directory_);
  if (!names.ok()) return;  // none was kept yet
  for (const std::string& name : *names) {
    const std::string path = JoinPath(directory_, name);
    const absl::StatusOr<Kept> kept = Read(path);
    if (kept.ok() && is_there(kept->image)) continue;
    const absl::Status removed = RemovePath(path);
    if (!removed.ok()) Warn("a unikernel's options", removed);
  }
}

guest::GuestOptions OptionsCache::Of(const Question& question) {
  const std::string path = PathOf(question);
  const auto turn = turns_.Take(path, nullptr);
  if (const absl::StatusOr<Kept> kept = Read(path); kept.ok()) {
    const auto options = guest::OptionsFromJson(kept->answer);
    if (options.ok() && options->known()) return *options;
  }
  if (IsSilent(path)) return guest::GuestOptions();
  return Ask(question, path);
}

bool OptionsCache::TakeSlot() {
  absl::MutexLock lock(&mutex_);
  const auto may_ask = [this] {
    mutex_.AssertReaderHeld();
    return asking_ < kMaxAsking;
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&may_ask), kWaitForSlot)) {
    return false;
  }
  ++asking_;
  return true;
}

bool OptionsCache::IsSilent(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  const auto it = silent_.find(path);
  return it != silent_.end() && absl::Now() < it->second;
}

void OptionsCache::SetSilent(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  if (silent_.size() >= kMaxFiles) silent_.clear();
  silent_[path] = absl::Now() + kSilence;
}

guest::GuestOptions OptionsCache::Ask(const Question& question,
                                      const std::string& path) {
  const std::string about = absl::StrCat("asking ", question.path, " of image ",
                                         question.image, " for its options");
  if (!TakeSlot()) {
    // Those who wait for this turn don't wait once more.
    SetSilent(path);
    Warn(about, absl::UnavailableError("too many are asked at the same time"));
    return guest::GuestOptions();
  }
  const absl::Cleanup done = [this] {
    absl::MutexLock lock(&mutex_);
    --asking_;
  };
  const auto ask = [&]() -> absl::StatusOr<guest::GuestOptions> {
    ASSIGN_OR_RETURN(const oci::RootFile file,
                     oci::OpenRegularInRoot(question.root, question.path));
    return guest::AskOptions({tender_, file.fd.get(), question.unikernel});
  };
  const absl::StatusOr<guest::GuestOptions> options = ask();
  if (!options.ok()) Warn(about, options.status());
  if (!options.ok() || !options->known()) {
    SetSilent(path);
    return guest::GuestOptions();
  }
  Keep(question, *options, path);
  return *options;
}

void OptionsCache::Keep(const Question& question,
                        const guest::GuestOptions& options,
                        const std::string& path) {
  absl::Status status = MakeDirs(directory_);
  const auto names = ListDir(directory_);
  if (names.ok() && names->size() >= kMaxFiles) {
    Forget([](const std::string&) { return false; });
  }
  if (status.ok()) {
    const oci::Json json = {{"image", question.image},
                            {"path", question.path},
                            {"answer", guest::ToJson(options)}};
    status =
        WriteFileAtomic(path, oci::Dump(json, -1), 0600, Durability::kProcess);
  }
  if (!status.ok()) Warn("keeping a unikernel's options", status);
}

}  // namespace serai::cri
