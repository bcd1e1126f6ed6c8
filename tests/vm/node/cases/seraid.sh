#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# seraid on cgroup v2: a pod with limits answers HTTP, is seen by the kernel as
# it was asked for, and leaves nothing.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

home=/run/seraid-case
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
  grep -L '^max' /sys/fs/cgroup/serai.case/*/cpu.max | xargs -r dirname
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
  serai stats || true
  serai rm web
  eventually 20 nothing_left
}

seraid --config "$home/config.toml" 2>"$home/seraid.log" &
daemon=$!
trap 'tail -n 30 "$home/seraid.log"; leftovers' EXIT
eventually 30 test -S "$SERAI_SOCKET"
run_pod hvt
run_pod spt
kill "$daemon"
wait "$daemon"
ip link del case0
[[ ! -e /sys/fs/cgroup/serai.case ]] || fail "seraid leaves its cgroup"
trap - EXIT
