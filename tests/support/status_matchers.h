// SPDX-License-Identifier: Apache-2.0
#pragma once

// EXPECT_OK(status or StatusOr), ASSERT_OK_AND_ASSIGN(auto x, expr), and
// HasStatus(code, substring) as a matcher.

#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/status.h"

namespace serai::testing {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER_P2(HasStatus, code, substring, "") {
  const absl::Status& status = StatusOf(arg);
  *result_listener << "is " << status.ToString();
  return status.code() == code &&
         absl::StrContains(status.message(), substring);
}

MATCHER_P(IsOkAndHolds, value, "") {
  *result_listener << "is " << StatusOf(arg).ToString();
  return arg.ok() && *arg == value;
}

}  // namespace serai::testing

#define EXPECT_OK(expr)                                  \
  do {                                                   \
    const auto& serai_expect_ok_ = (expr);               \
    EXPECT_TRUE(serai_expect_ok_.ok())                   \
        << ::serai::testing::StatusOf(serai_expect_ok_); \
  } while (false)
#define ASSERT_OK(expr)                                  \
  do {                                                   \
    const auto& serai_expect_ok_ = (expr);               \
    ASSERT_TRUE(serai_expect_ok_.ok())                   \
        << ::serai::testing::StatusOf(serai_expect_ok_); \
  } while (false)
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  ASSERT_OK_AND_ASSIGN_IMPL_(SERAI_CONCAT_(serai_assign_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                               \
  ASSERT_TRUE(tmp.ok()) << tmp.status();           \
  lhs = *std::move(tmp)
