#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Guests run under the tender, by kvm_amd and as processes, and our dynamic
# programs find their libraries.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

seraid --version
serai inspect guests/hello.hvt
for target in hvt spt; do
  output=$(serai-tender "guests/hello.$target" --one 2>&1)
  contains "$output" "SUCCESS"
  status=0
  serai-tender "guests/exit.$target" --status=42 || status=$?
  equal "the status of exit.$target" "$status" 42
  status=0
  timeout 2 serai-tender "guests/spin.$target" >/dev/null || status=$?
  equal "the status of timeout" "$status" 124
done
