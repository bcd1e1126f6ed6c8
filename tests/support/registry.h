// SPDX-License-Identifier: Apache-2.0
#pragma once

// A real registry (Debian's docker-registry) on a free port of 127.0.0.1, with
// its storage in a temporary directory. It and its storage are gone with the
// object; should the test die, the kernel ends the registry too.

#include <sys/types.h>

#include <memory>
#include <string>

#include "lib/base/status.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {

// Why no LocalRegistry can be started here; empty when it can.
std::string LacksLocalRegistry();

class LocalRegistry {
 public:
  enum class Auth { kNone, kBasic };
  static constexpr char kUsername[] = "caravan";
  static constexpr char kPassword[] = "open sesame";

  // Returns when the registry answers. Call from a thread that outlives it.
  // With `tls`, the path of a PEM file with certificate and key, it speaks
  // HTTPS; with `client_ca`, the path of a PEM file, to those alone who have a
  // certificate of that authority.
  static absl::StatusOr<std::unique_ptr<LocalRegistry>> Start(
      Auth auth = Auth::kNone, const std::string& tls = "",
      const std::string& client_ca = "");
  ~LocalRegistry();
  LocalRegistry(const LocalRegistry&) = delete;
  LocalRegistry& operator=(const LocalRegistry&) = delete;

  // "127.0.0.1:40123".
  const std::string& host() const { return host_; }
  // Where it keeps its files.
  std::string storage() const { return directory_ / "storage"; }

 private:
  LocalRegistry() = default;
  absl::Status Launch(Auth auth, const std::string& tls,
                      const std::string& client_ca);
  absl::Status AwaitListening();

  TempDir directory_;
  pid_t pid_ = -1;  // our child until waited for, so never another's
  std::string host_;
};

}  // namespace serai::testing

// Skips, or fails where "net" is required, when no LocalRegistry can run.
#define SERAI_NEED_REGISTRY()                                            \
  do {                                                                   \
    if (const auto bad = ::serai::testing::BadRequirement(); bad) {      \
      FAIL() << *bad;                                                    \
    }                                                                    \
    if (const std::string lack = ::serai::testing::LacksLocalRegistry(); \
        !lack.empty()) {                                                 \
      if (::serai::testing::Required("net")) {                           \
        FAIL() << "SERAI_REQUIRE names net, but " << lack;               \
      }                                                                  \
      GTEST_SKIP() << "needs a registry: " << lack;                      \
    }                                                                    \
  } while (false)
