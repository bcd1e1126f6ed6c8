#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a change is looked at with before it is proposed: formatting, shell
# scripts and what they made of the documentation, clang-tidy, and the unit
# tests in the dev and asan builds.
#
#   check.sh             all of it
#   check.sh STEP...     format, shell, tidy, dev, asan
# CLANG_FORMAT, CLANG_TIDY and RUN_CLANG_TIDY name other versions of the tools.
set -euo pipefail
cd "$(dirname "$0")/.."

# Later versions differ over members' pointers and requires-clauses: version 14,
# Debian 12's, has the say.
step_format() {
  if ! "${CLANG_FORMAT:-clang-format}" --version | grep -q 'version 14\.'; then
    echo "skipped: needs clang-format 14 (CLANG_FORMAT names another program)"
    skipped+=(format)
    return
  fi
  git ls-files -z '*.cc' '*.h' '*.c' |
    xargs -0 "${CLANG_FORMAT:-clang-format}" --dry-run -Werror
}

step_shell() {
  scripts/matrix.sh --check
  git ls-files -z '*.sh' '.ci/*' | xargs -0 shellcheck
}

# Generated code is built first: headers of ours include it.
step_tidy() {
  cmake --preset clang >/dev/null
  cmake --build --preset clang
  "${RUN_CLANG_TIDY:-run-clang-tidy}" -quiet -p build/clang \
    -clang-tidy-binary "${CLANG_TIDY:-clang-tidy}" \
    "^$PWD/(lib|tender|cni|shim|cri|cli)/"
}

step_dev() {
  cmake --preset dev >/dev/null
  cmake --build --preset dev
  ctest --preset dev -L unit
}

step_asan() {
  cmake --preset asan >/dev/null
  cmake --build --preset asan
  ctest --preset asan
}

skipped=()
steps=("$@")
[[ ${#steps[@]} -gt 0 ]] || steps=(format shell tidy dev asan)
for step in "${steps[@]}"; do
  case "$step" in
    format | shell | tidy | dev | asan)
      echo "== $step"
      "step_$step"
      ;;
    *)
      echo "usage: $0 [format] [shell] [tidy] [dev] [asan]" >&2
      exit 2
      ;;
  esac
done
if [[ ${#skipped[@]} -gt 0 ]]; then
  echo "== what ran is well; skipped: ${skipped[*]}"
else
  echo "== all is well"
fi
