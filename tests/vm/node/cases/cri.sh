#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods of the handler "unikernel" under the CRI of the node's containerd, with
# cgroups of systemd, as kubelet wants them.
# shellcheck source=tests/vm/node/cases/lib.sh
. cases/lib.sh

serai pack guests/web.hvt guests/web.spt -t localhost/web --archive /run/web.tar
start_containerd
trap 'journalctl --no-pager -u containerd | tail -n 30; leftovers' EXIT
ctr -n k8s.io image import /run/web.tar
tests/cri_node_test
systemctl stop containerd
ip link del case0
eventually 20 nothing_left
systemctl stop kubepods.slice  # kubelet would
trap - EXIT
