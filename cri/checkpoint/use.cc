// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/use.h"

#include "absl/strings/strip.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr char kRestoring[] = "restoring ";
constexpr size_t kMaxUse = 8192;

// The pod that has taken it; empty: none. FAILED_PRECONDITION once it is used
// up.
absl::StatusOr<std::string> TakerOf(const std::string& path) {
  const absl::StatusOr<std::string> use = ReadFile(path, kMaxUse);
  if (absl::IsNotFound(use.status())) return std::string();
  RETURN_IF_ERROR(use.status());
  absl::string_view taker = *use;
  if (taker.empty() || absl::ConsumePrefix(&taker, kRestoring)) {
    return std::string(taker);
  }
  return absl::FailedPreconditionError(
      "this checkpoint was restored before: two guests of one memory image "
      "would draw the same random numbers and keys. Take another "
      "checkpoint");
}

}  // namespace

absl::StatusOr<bool> TakeCheckpoint(
    const std::string& path, const std::string& pod,
    absl::FunctionRef<bool(const std::string&)> is_there) {
  ASSIGN_OR_RETURN(const std::string taker, TakerOf(path));
  const bool taken = !taker.empty() && is_there(taker);
  if (taken && taker != pod) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this checkpoint is restored already, as pod ", taker,
        ": two guests of one memory image would draw the same random numbers "
        "and keys. Remove that pod, or take another checkpoint"));
  }
  if (taker != pod) {
    RETURN_IF_ERROR(WriteFileAtomic(path, absl::StrCat(kRestoring, pod)));
  }
  return taken;
}

absl::Status UseUpCheckpoint(const std::string& path, const std::string& pod) {
  ASSIGN_OR_RETURN(const std::string taker, TakerOf(path));
  if (taker == pod) return WriteFileAtomic(path, pod);
  return absl::FailedPreconditionError(absl::StrCat(
      "the checkpoint that it goes on from is not pod ", pod, "'s any more"));
}

}  // namespace serai::cri
