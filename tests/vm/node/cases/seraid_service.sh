#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# seraid as a service of systemd: start, reload, a hang that the watchdog ends,
# stop. The pod goes on through all of it.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

home=/run/seraid-service
export SERAI_SOCKET=/run/serai/seraid.sock SERAI_LOG_DIR=$home/logs
mkdir -p "$home" /etc/serai
cp bin/seraid bin/containerd-shim-serai-v2 bin/serai-tender bin/serai-unpack /usr/bin/
cat >/etc/serai/config.toml <<TOML
version = 1
[cni]
conf_dir = "$home/net.d"
[cgroup]
parent = "/serai.service"
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
YAML

main_pid() {
  systemctl show -P MainPID seraid
}
page() {
  curl --fail --silent --max-time 5 "http://$ip/"
}
reloaded() {
  journalctl --no-pager -o cat -u seraid | grep -q '"message":"SIGHUP'
}
restarted() {
  [[ $(main_pid) != "$1" && $(main_pid) != 0 ]] && systemctl -q is-active seraid
}

systemd-analyze verify deploy/systemd/seraid.service
cp deploy/systemd/seraid.service /etc/systemd/system/
mkdir -p /etc/systemd/system/seraid.service.d
# All is slow here; but a hang is to be seen within the case's time.
printf '[Service]\nWatchdogSec=20\n' >/etc/systemd/system/seraid.service.d/case.conf
systemctl daemon-reload
trap 'journalctl --no-pager -u seraid | tail -n 40; leftovers' EXIT
systemctl start seraid
serai pack guests/web.hvt guests/web.spt -t localhost/web --archive "$home/web.tar"
serai load "$home/web.tar"
serai run "$home/pod.yaml"
ip=$(serai ps | awk '$1 == "web" { print $6 }')
eventually 30 page

printf '[log]\nformat = "json"\nlevel = "debug"\n' >>/etc/serai/config.toml
systemctl reload seraid
eventually 20 reloaded
page

pid=$(main_pid)
kill -STOP "$pid"
eventually 90 restarted "$pid"
page
contains "$(serai ps)" web

pid=$(main_pid)
systemctl stop seraid
page
[[ ! -e /proc/$pid ]] || fail "seraid still runs"
systemctl start seraid
contains "$(serai ps)" web
serai rm web
systemctl stop seraid
# Its socket as well.
eventually 20 nothing_left
ip link del case0
rm -r /etc/systemd/system/seraid.service.d /etc/systemd/system/seraid.service
systemctl daemon-reload
trap - EXIT
