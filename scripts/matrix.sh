#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes the names of the tests of volumes, as sentences, into docs/storage.md
# between its two marker lines.
#
#   matrix.sh            writes them
#   matrix.sh --check    fails when others stand there
set -euo pipefail
cd "$(dirname "$0")/.."

doc=docs/storage.md
begin='<!-- matrix: begin -->'
end='<!-- matrix: end -->'

# "AnEmptyDirIsADisk" to "- An empty dir is a disk".
sentences() {
  sed -nE 's/^TEST_F\(VolumeTest, (\w+)\).*/\1/p' \
    tests/integration/volume_test.cc |
    sed -E 's/([a-z0-9])([A-Z])/\1 \2/g; s/([A-Z])([A-Z][a-z])/\1 \2/g' |
    sed -E 's/^(.)(.*)$/- \1\L\2/'
}

# The document with the present names in it.
written() {
  sed "/^$begin\$/,\$d" "$doc"
  echo "$begin"
  sentences
  echo "$end"
  sed "1,/^$end\$/d" "$doc"
}

for marker in "$begin" "$end"; do
  if [[ $(grep -cxF "$marker" "$doc") != 1 ]]; then
    echo "$doc: wants one line \"$marker\"" >&2
    exit 1
  fi
done
case "${1:-}" in
  '')
    written >"$doc.new"
    mv "$doc.new" "$doc"
    ;;
  --check)
    if ! written | diff -u "$doc" -; then
      echo "$doc is not up to date: run scripts/matrix.sh" >&2
      exit 1
    fi
    ;;
  *)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
