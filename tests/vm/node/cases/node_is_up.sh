#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The node is what the other cases take it for.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

equal "systemd's state" "$(systemctl is-system-running)" running
equal "the first program" "$(cat /proc/1/comm)" systemd
equal "the cgroups' file system" "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs
controllers=$(</sys/fs/cgroup/cgroup.controllers)
for controller in cpuset cpu io memory pids; do
  contains " $controllers " " $controller "
done
[[ -d /sys/module/kvm_amd ]] || fail "kvm_amd is not loaded"
[[ -c /dev/kvm && -c /dev/net/tun ]] || fail "no /dev/kvm or /dev/net/tun"
containerd --version
systemd-analyze
