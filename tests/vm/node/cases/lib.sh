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

# What a pod or task may leave behind, a line each: processes of ours, cgroups,
# mounts, links, network namespaces, sockets.
leftovers() {
  local exe
  for exe in /proc/[0-9]*/exe; do
    if [[ $(readlink "$exe") =~ /(containerd-shim-serai-v2|serai-tender)( |$) ]]; then
      echo "process $exe"
    fi
  done 2>/dev/null
  find /sys/fs/cgroup -mindepth 1 -type d \( -path '*kubepods*' -o -path '*/serai.*/*' \
    -o -name 'cri-containerd*' -o -path '*/k8s.io/*' -o -path '*/default/*' \)
  awk '$2 ~ /netns|rootfs|sandbox/ { print "mount " $2 }' /proc/self/mounts
  ip -o link | awk -F ': ' '$2 ~ /^(veth|serai)/ { print "link " $2 }'
  ip netns list
  find /run/serai -type s 2>/dev/null || true
}

nothing_left() {
  [[ -z $(leftovers) ]]
}
