# SPDX-License-Identifier: Apache-2.0
# For the cases in this directory, which source it. A case that fails says why.
# shellcheck shell=bash
set -euo pipefail
trap 'echo "line $LINENO of $0: $BASH_COMMAND: status $?" >&2' ERR

fail() {
  echo "$0: $*" >&2
  exit 1
}

# equal WHAT IS SHOULD-BE
equal() {
  [[ $2 == "$3" ]] || fail "$1 is '$2' instead of '$3'"
}

# at_least WHAT IS MINIMUM
at_least() {
  if [[ ! $2 =~ ^[0-9]+$ ]] || (($2 < $3)); then
    fail "$1 is '$2' and not $3 or more"
  fi
}

# contains TEXT PART
contains() {
  [[ $1 == *"$2"* ]] || fail "no '$2' in: $1"
}

# eventually SECONDS COMMAND…: until it succeeds.
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || fail "not in time: $*"
    sleep 0.1
  done
}

# What a pod or task may leave behind, a line each: processes of ours, cgroups
# (but slices, which are kubelet's), mounts, links, network namespaces, sockets.
leftovers() {
  local exe
  for exe in /proc/[0-9]*/exe; do
    if [[ $(readlink "$exe") =~ /(containerd-shim-serai-v2|serai-tender)( |$) ]]; then
      echo "process $exe"
    fi
  done 2>/dev/null
  find /sys/fs/cgroup -mindepth 1 -type d ! -name '*.slice' \( -path '*kubepods*' -o -path '*/serai.*/*' \
    -o -name 'cri-containerd*' -o -path '*/k8s.io/*' -o -path '*/default/*' \)
  awk '$2 ~ /netns|rootfs|sandbox/ { print "mount " $2 }' /proc/self/mounts
  ip -o link | awk -F ': ' '$2 ~ /^(veth|serai)/ { print "link " $2 }'
  ip netns list
  find /run/serai -type s 2>/dev/null || true
}

nothing_left() {
  [[ -z $(leftovers) ]]
}

# Adds a network to DIRECTORY, with bridge case0.
write_network() {
  mkdir -p "$1"
  cat >"$1/10-case.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "case", "plugins": [
  {"type": "bridge", "bridge": "case0", "isGateway": true, "ipam": {
    "type": "host-local", "dataDir": "/run/case-ipam",
    "ranges": [[{"subnet": "10.213.78.0/24"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
}

# The node's containerd, with our runtime installed as an administrator would.
start_containerd() {
  cp bin/containerd-shim-serai-v2 bin/serai-tender /usr/local/bin/
  write_network /etc/cni/net.d
  mkdir -p /etc/containerd
  {
    cat <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/web:latest"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true
TOML
    cat deploy/containerd/config-v2.toml
  } >/etc/containerd/config.toml
  systemctl start containerd
}
