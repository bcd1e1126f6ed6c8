#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A unikernel pod, from nothing to an HTTP answer and back to nothing. Installs
# what it needs, builds, starts a seraid of its own (own directories, socket,
# bridge, subnet and cgroup), runs examples/web-pod.yaml, and takes it all down.
# Exit 0 only if the guest answered and nothing was left.
#
#   --keep   leave the pod running, and say how to talk to it and how to end it
#   --down   take down what --keep left
set -euo pipefail
cd "$(dirname "$0")/.."

readonly home=/run/serai-demo
readonly bridge=serai-demo0
readonly subnet=10.213.77
readonly cgroup=/serai-demo
readonly forwarding=/proc/sys/net/ipv4/ip_forward
readonly bin="$PWD/build/release/bin"
readonly guests="$PWD/build/release/guests"
export SERAI_SOCKET=$home/seraid.sock SERAI_LOG_DIR=$home/logs

keep=false
case "${1:-}" in
  '') ;;
  --keep) keep=true ;;
  --down) ;;
  *)
    echo "usage: $0 [--keep | --down]" >&2
    exit 2
    ;;
esac

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

fail() {
  echo "demo: $*" >&2
  exit 1
}

write_config() {
  mkdir -p "$home/net.d"
  cat >"$home/config.toml" <<TOML
version = 1
root = "$home/root"
state = "$home/state"
[cri]
socket = "$SERAI_SOCKET"
[cni]
conf_dir = "$home/net.d"
bin_dirs = ["$bin", "/opt/cni/bin", "/usr/lib/cni"]
[metrics]
address = "127.0.0.1:0"
[cgroup]
parent = "$cgroup"
TOML
  cat >"$home/net.d/10-demo.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "serai-demo", "plugins": [
  {"type": "serai-tap", "bridge": "$bridge", "isGateway": true, "ipam": {
    "type": "host-local", "dataDir": "$home/ipam",
    "ranges": [[{"subnet": "$subnet.0/24"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  # serai-tap turns forwarding on; it is put back at the end.
  cp "$forwarding" "$home/ip_forward"
}

start_daemon() {
  # Its own session: Ctrl-C is for the demo, which then takes things down in
  # order.
  setsid "$bin/seraid" --config "$home/config.toml" \
    >"$home/seraid.log" 2>&1 </dev/null &
  echo $! >"$home/seraid.pid"
  for _ in $(seq 100); do
    [[ -S $SERAI_SOCKET ]] && return
    kill -0 "$(<"$home/seraid.pid")" 2>/dev/null || break
    sleep 0.05
  done
  cat "$home/seraid.log" >&2
  fail "seraid did not start"
}

# Ends the daemon that the pid file names, if it is one of ours.
stop_daemon() {
  local pid
  pid=$(cat "$home/seraid.pid" 2>/dev/null) || return 0
  if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$bin/seraid"* ]]; then
    kill "$pid"
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
  fi
}

take_down() {
  [[ -d $home ]] || return 0
  if [[ -S $SERAI_SOCKET ]]; then
    "$bin/serai" rm -a >/dev/null 2>&1 || true
  fi
  stop_daemon
  ip link del "$bridge" 2>/dev/null || true
  [[ ! -f $home/ip_forward ]] || cat "$home/ip_forward" >"$forwarding"
  rm -rf --one-file-system "$home"
}

on_exit() {
  local status=$?
  if ((status != 0)) && [[ -f $home/seraid.log ]]; then
    echo "--- seraid's log" >&2
    tail -n 20 "$home/seraid.log" >&2
  fi
  if ! $keep || ((status != 0)); then take_down; fi
  exit "$status"
}

# What the demo may have left on the machine, a line each.
leftovers() {
  [[ ! -e $home ]] || echo "directory $home"
  ip -o link show "$bridge" 2>/dev/null || true
  ip -o link show | grep -F 'serai-tap-of:serai-demo:' || true
  grep -F "$home" /proc/self/mounts || true
  find /sys/fs/cgroup -maxdepth 3 -type d -path "*$cgroup*" 2>/dev/null || true
  local exe
  for exe in /proc/[0-9]*/exe; do
    if [[ $(readlink "$exe" 2>/dev/null) == "$bin/"* ]]; then
      echo "process ${exe//[!0-9]/}: $(readlink "$exe")"
    fi
  done
}

((EUID == 0)) || fail "network namespaces and KVM want root: sudo $0"

if [[ ${1:-} == --down ]]; then
  take_down
  exit 0
fi
step "Installing what is needed, and building"
scripts/deps.sh
scripts/build.sh seraid containerd-shim-serai-v2 serai-tap serai-tender serai \
  guest_web_hvt guest_web_spt
[[ ! -e $home ]] || fail "$home is there from an earlier run: $0 --down removes it"

trap on_exit EXIT
step "Starting a seraid of our own in $home"
write_config
start_daemon

step "Packing the example unikernel into an image"
"$bin/serai" pack "$guests/web.hvt" "$guests/web.spt" -t localhost/serai-web \
  --archive "$home/web.tar"
"$bin/serai" load "$home/web.tar"

step "Running examples/web-pod.yaml"
"$bin/serai" run examples/web-pod.yaml --time
ip=$("$bin/serai" ps | awk '$1 == "web" { print $6 }')
[[ $ip == "$subnet".* ]] || fail "the pod has no IP"

step "The pod's IP is $ip; the host asks it"
curl --fail --silent --show-error --include --max-time 5 "http://$ip/" ||
  fail "the guest did not answer"

step "The guest's log"
"$bin/serai" logs web

if $keep; then
  step "It goes on running"
  cat <<TEXT
curl http://$ip/
export SERAI_SOCKET=$SERAI_SOCKET
$bin/serai ps
$bin/serai logs -f web
$PWD/scripts/demo.sh --down      # ends it all
TEXT
  exit 0
fi

step "Taking it down"
"$bin/serai" rm web
take_down
left=$(leftovers)
[[ -z $left ]] || fail "left over:"$'\n'"$left"
echo "Nothing is left: no process, namespace, mount, link, cgroup or file."
