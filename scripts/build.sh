#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds into build/release what has changed since the last time. Arguments are
# targets; without any, everything is built. SERAI_JOBS sets how many compilers
# run at once.
set -euo pipefail
cd "$(dirname "$0")/.."

# A compiler of the generated code takes up to 1.5 GB.
jobs_for_machine() {
  local by_memory by_cpu
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 1536 / 1024) }' /proc/meminfo)
  by_cpu=$(nproc)
  if ((by_memory < 1)); then
    echo 1
  else
    echo $((by_memory < by_cpu ? by_memory : by_cpu))
  fi
}

configure() {
  local output
  if ! output=$(cmake --preset release 2>&1); then
    echo "$output" >&2
    exit 1
  fi
}

# Clones share what ccache has: paths below this one count as relative.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

[[ -f build/release/build.ninja ]] || configure
cmake --build --preset release -j "${SERAI_JOBS:-$(jobs_for_machine)}" \
  ${1:+--target "$@"}
