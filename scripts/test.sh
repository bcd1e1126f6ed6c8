#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed, builds, and runs every test: unit tests, fuzz corpora
# and integration tests. Arguments go on to ctest (-R NAME, -L unit, …). Tests
# that need what this machine lacks are skipped;
# SERAI_REQUIRE=root,kvm,net,cgroup,vm,gdb,containerd makes them fail instead.
# ctest's summary comes last.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh --tests
tests/vm/fetch_kernel.sh || echo "$0: there will be no virtual machine" >&2
tests/vm/node/make_image.sh || echo "$0: there will be no node" >&2
scripts/build.sh
exec ctest --test-dir build/release --output-on-failure --no-tests=error \
  -j "$(nproc)" "$@"
