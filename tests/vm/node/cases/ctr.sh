#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Guests as tasks of the node's containerd, by ctr(8): output, exit status, and
# limits in a cgroup of their own, made by cgroupfs and by systemd.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

readonly runtime=io.containerd.serai.v2
export CONTAINERD_NAMESPACE=ctr-case

# import NAME
import() {
  serai pack "guests/$1.hvt" "guests/$1.spt" -t "localhost/$1" \
    --archive "/run/$1.tar"
  ctr image import "/run/$1.tar"
}

# run_limited ID CGROUPS-PATH
run_limited() {
  ctr run -d --runtime "$runtime" --cgroup "$2" --memory-limit $((64 << 20)) \
    --log-uri "file:///run/$1.log" localhost/spin:latest "$1"
  eventually 20 grep -q spin "/run/$1.log"
}

# end ID
end() {
  ctr task kill --signal SIGKILL "$1"
  eventually 20 stopped "$1"
  ctr task rm "$1" || true # status 137
  ctr container rm "$1"
}

stopped() {
  [[ $(ctr task ls | awk -v id="$1" '$1 == id { print $3 }') == STOPPED ]]
}

start_containerd
trap 'journalctl --no-pager -u containerd | tail -n 30; leftovers' EXIT
for name in hello exit spin; do import "$name"; done

output=$(ctr run --rm --runtime "$runtime" localhost/hello:latest hello)
contains "$output" SUCCESS
status=0
ctr run --rm --runtime "$runtime" localhost/exit:latest exit /app.hvt \
  --status=42 || status=$?
equal "the status of exit" "$status" 42

run_limited files /serai.ctr/files
cgroup=/sys/fs/cgroup/serai.ctr/files
[[ -n $(<"$cgroup/cgroup.procs") ]] || fail "nobody is in $cgroup"
at_least "memory.max of $cgroup" "$(<"$cgroup/memory.max")" $((64 << 20))
contains "$(ctr task metrics files)" memory
end files

run_limited scope system.slice:serai:scope
equal "the scope's slice" "$(systemctl show -P Slice serai-scope.scope)" \
  system.slice
equal "the scope" "$(systemctl is-active serai-scope.scope)" active
at_least MemoryMax "$(systemctl show -P MemoryMax serai-scope.scope)" \
  $((64 << 20))
cgroup=/sys/fs/cgroup/system.slice/serai-scope.scope
at_least "memory.max of $cgroup" "$(<"$cgroup/memory.max")" $((64 << 20))
end scope
scope_is_gone() { ! systemctl is-active --quiet serai-scope.scope; }
eventually 10 scope_is_gone

systemctl stop containerd
eventually 20 nothing_left
trap - EXIT
