// SPDX-License-Identifier: Apache-2.0
#pragma once

// An authority and a certificate of its own for 127.0.0.1, made by OpenSSL for
// one test, which serves a server and a client.

#include <string>

#include "tests/support/temp_dir.h"

namespace serai::testing {

class TestPki {
 public:
  TestPki();

  // Files, in PEM form.
  std::string ca() const { return directory_ / "ca.pem"; }
  std::string certificate() const { return directory_ / "cert.pem"; }
  std::string key() const { return directory_ / "key.pem"; }

 private:
  const TempDir directory_;
};

}  // namespace serai::testing
