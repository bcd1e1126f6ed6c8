#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# seraid on cgroup v2, with the cgroup driver that the argument names: a pod with
# limits answers HTTP, is seen by the kernel as it was asked for, and leaves
# nothing.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

driver=$1
home=/run/seraid-case-$driver
parent=/sys/fs/cgroup/serai.case
[[ $driver == cgroupfs ]] || parent+=.slice
export SERAI_SOCKET=$home/seraid.sock SERAI_LOG_DIR=$home/logs
mkdir -p "$home"
cat >"$home/config.toml" <<TOML
version = 1
root = "$home/root"
state = "$home/state"
[cri]
socket = "$SERAI_SOCKET"
[cni]
conf_dir = "$home/net.d"
[cgroup]
driver = "$driver"
parent = "/serai.case"
TOML
write_network "$home/net.d"
cat >"$home/pod.yaml" <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  runtimeClassName: unikernel
  terminationGracePeriodSeconds: 2
  containers:
    - name: web
      image: localhost/web:latest
      imagePullPolicy: Never
      resources:
        limits:
          memory: 32Mi
          cpu: 500m
YAML

# The control group of the only container.
container_cgroup() {
  grep -L '^max' "$parent"/*/cpu.max | xargs -r dirname
}

# systemd's units of our groups, a line each.
scopes() {
  systemctl list-units --all --plain --no-legend 'serai-*.scope'
}

no_scopes() {
  [[ -z $(scopes) ]]
}

run_pod() { # TARGET
  serai pack "guests/web.$1" -t localhost/web --archive "$home/web.tar"
  serai load "$home/web.tar"
  serai run "$home/pod.yaml"
  local ip cgroup limit
  ip=$(serai ps | awk '$1 == "web" { print $6 }')
  page() { curl --fail --silent --max-time 5 "http://$ip/"; }
  eventually 30 page
  contains "$(serai logs web)" listening
  cgroup=$(container_cgroup)
  [[ -n $(<"$cgroup/cgroup.procs") ]] || fail "nobody is in $cgroup"
  limit=$(<"$cgroup/memory.max")
  [[ $limit != max ]] || fail "no limit for $cgroup"
  ((limit >= 32 << 20 && limit < 128 << 20)) ||
    fail "memory.max of $cgroup is $limit"
  equal cpu.max "$(<"$cgroup/cpu.max")" "50000 100000"
  if [[ $driver == systemd ]]; then
    # The sandbox's, which its shim is in, and the container's.
    equal "number of scopes" "$(scopes | wc -l)" 2
    for group in "$parent"/*.scope; do
      [[ -n $(<"$group/cgroup.procs") ]] || fail "nobody is in $group"
    done
  fi
  serai stats || true
  serai rm web
  eventually 20 nothing_left
  eventually 20 no_scopes
}

seraid --config "$home/config.toml" 2>"$home/seraid.log" &
daemon=$!
trap 'tail -n 30 "$home/seraid.log"; leftovers' EXIT
eventually 30 test -S "$SERAI_SOCKET"
run_pod hvt
run_pod spt
if [[ $driver == systemd ]]; then
  # A pod whose shim was killed goes as well.
  serai run "$home/pod.yaml"
  for pid in $(cat "$parent"/*.scope/cgroup.procs); do
    [[ $(readlink "/proc/$pid/exe") != */containerd-shim-serai-v2 ]] ||
      kill -KILL "$pid"
  done
  serai rm web
  eventually 20 nothing_left
  eventually 20 no_scopes
fi
kill "$daemon"
wait "$daemon"
ip link del case0
if [[ $driver == systemd ]]; then
  systemctl stop serai.case.slice  # kubelet would
fi
[[ ! -e $parent ]] || fail "seraid leaves its cgroup"
trap - EXIT
