// SPDX-License-Identifier: Apache-2.0
#pragma once

// Jails, and who the caller is that asks for them.

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "tests/tender/jail/inspection.h"

namespace serai::testing {

// Steps in a child before the exec. False: it could not be done.
bool BecomeNobody();
// As the root of a user namespace, which has no right outside.
bool BecomeRootOfNamespace();
// A namespace that has no names for anybody.
bool EnterUnmappedNamespace();
// Into supplementary groups, as the programs that root starts are.
bool JoinGroups();

struct JailCase {
  const char* name;
  const char* words;
  bool (*prepare)() = nullptr;  // after JoinGroups()
  User user = {};
  std::set<std::string> namespaces = {};  // its own

  // Both.
  std::function<bool()> Preparation() const;
};

void PrintTo(const JailCase& one, std::ostream* out);

const std::vector<JailCase>& JailCases();

}  // namespace serai::testing
