// SPDX-License-Identifier: Apache-2.0
#pragma once

// Errors are absl::Status, whose codes are gRPC's. A message is a lower-case
// fragment; each caller that adds something puts it in front, so that the whole
// reads as a path: "starting container 3f2a: open /run/x: No such file".

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serai {

// The status for `error` (an errno value): "<what>: <strerror>", with abseil's
// mapping of errno to code. ENOSPC and EDQUOT are RESOURCE_EXHAUSTED.
absl::Status ErrnoStatus(int error, absl::string_view what);

// The same status with "<prefix>: " before its message; OK stays OK. Payloads
// are kept.
absl::Status Annotate(const absl::Status& status, absl::string_view prefix);

// The first error of two, for clean-up that goes on after a failure.
absl::Status FirstError(absl::Status first, absl::Status second);

namespace internal {
template <typename... Args>
absl::Status AnnotateArgs(const absl::Status& status, const Args&... args) {
  if constexpr (sizeof...(Args) == 0) {
    return status;
  } else {
    return Annotate(status, absl::StrCat(args...));
  }
}
}  // namespace internal

}  // namespace serai

// RETURN_IF_ERROR(expr [, parts of a prefix…]): returns a non-OK status from
// the enclosing function, with the prefix before its message.
#define RETURN_IF_ERROR(expr, ...)                                        \
  do {                                                                    \
    const absl::Status serai_status_ = (expr);                            \
    if (!serai_status_.ok()) {                                            \
      return ::serai::internal::AnnotateArgs(serai_status_ __VA_OPT__(, ) \
                                                 __VA_ARGS__);            \
    }                                                                     \
  } while (false)

#define SERAI_CONCAT_INNER_(a, b) a##b
#define SERAI_CONCAT_(a, b) SERAI_CONCAT_INNER_(a, b)

// ASSIGN_OR_RETURN(auto x, expr [, parts of a prefix…]): the value of a
// StatusOr, or its error returned as above.
#define ASSIGN_OR_RETURN(lhs, expr, ...)                                 \
  ASSIGN_OR_RETURN_IMPL_(SERAI_CONCAT_(serai_status_or_, __LINE__), lhs, \
                         expr __VA_OPT__(, ) __VA_ARGS__)
#define ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr, ...)                    \
  auto tmp = (expr);                                                   \
  if (!tmp.ok()) {                                                     \
    return ::serai::internal::AnnotateArgs(tmp.status() __VA_OPT__(, ) \
                                               __VA_ARGS__);           \
  }                                                                    \
  lhs = *std::move(tmp)
