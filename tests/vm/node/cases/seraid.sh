#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# seraid on cgroup v2: a pod with limits answers HTTP, is seen by the kernel as
# it was asked for, and leaves nothing.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

home=/run/seraid-case
export SERAI_SOCKET=$home/seraid.sock SERAI_LOG_DIR=$home/logs
mkdir -p "$home/net.d"
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
cat >"$home/net.d/10-case.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "case", "plugins": [
  {"type": "bridge", "bridge": "case0", "isGateway": true, "ipam": {
    "type": "host-local", "dataDir": "$home/ipam",
    "ranges": [[{"subnet": "10.213.78.0/24"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
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

# cgroup_of PROCESS-NAME: the directory of its control group.
cgroup_of() {
  local pid
  pid=$(pgrep -n -f "$1")
  echo "/sys/fs/cgroup$(cut -d : -f 3 "/proc/$pid/cgroup")"
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
  cgroup=$(cgroup_of '(^|/)serai-tender')
  contains "$cgroup" /serai.case
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
rmdir /sys/fs/cgroup/serai.case  # which is empty
trap - EXIT
