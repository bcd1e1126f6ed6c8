#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes the names of tests, as sentences, into the documents that say what
# works: below each line
#   <!-- matrix: FILE SUITE… -->
# up to the next `<!-- matrix: end -->`.
#
#   matrix.sh            writes them
#   matrix.sh --check    fails when others stand there
set -euo pipefail
cd "$(dirname "$0")/.."

documents=(docs/networking.md docs/storage.md)

# "AnEmptyDirIsADisk" to "- An empty dir is a disk".
sentences() {
  local file=$1 suite
  shift
  for suite in "$@"; do
    sed -nE "s/^TEST_[FP]\($suite, (\w+)\).*/\1/p" "$file"
  done |
    sed -E 's/([a-z0-9])([A-Z])/\1 \2/g; s/([A-Z])([A-Z][a-z])/\1 \2/g' |
    sed -E 's/^(.)(.*)$/- \1\L\2/'
}

# The document with the present names in it.
written() {
  local line skipping=false words
  while IFS= read -r line; do
    if [[ $line == '<!-- matrix: end -->' ]]; then skipping=false; fi
    $skipping || printf '%s\n' "$line"
    if [[ $line =~ ^'<!-- matrix: '(tests/.*)' -->'$ ]]; then
      read -ra words <<<"${BASH_REMATCH[1]}"
      sentences "${words[@]}"
      skipping=true
    fi
  done <"$1"
}

for document in "${documents[@]}"; do
  if [[ $(grep -c '^<!-- matrix: tests/' "$document") != \
    $(grep -cxF '<!-- matrix: end -->' "$document") ]]; then
    echo "$document: each matrix wants a line <!-- matrix: end -->" >&2
    exit 1
  fi
  case "${1:-}" in
    '')
      written "$document" >"$document.new"
      mv "$document.new" "$document"
      ;;
    --check)
      if ! diff -u "$document" <(written "$document"); then
        echo "$document: not what the tests are called: run scripts/matrix.sh" >&2
        exit 1
      fi
      ;;
    *)
      echo "usage: $0 [--check]" >&2
      exit 2
      ;;
  esac
done
