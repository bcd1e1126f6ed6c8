#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the disk of the tests' node in DIRECTORY (build/vm-node unless given):
# `root.ext4`, Debian of this machine's release and from this machine's sources,
# with systemd, containerd and the libraries our programs need. Does nothing
# when it is there and made of the same things. Wants root, and what
# fetch_kernel.sh brings into KERNEL (build/vm-kernel).
#
#   make_image.sh [DIRECTORY [KERNEL]]
set -euo pipefail
cd "$(dirname "$0")/../../.."

directory=${1:-build/vm-node}
kernel=${2:-build/vm-kernel}
packages=(
  ca-certificates containerd containernetworking-plugins curl dbus iproute2
  iptables iputils-ping kmod nftables procps runc systemd systemd-sysv udev
)
# What only people want.
left_out=('/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*'
  '/usr/share/info/*')
# Would start at each boot, to no use.
masked=(
  apt-daily-upgrade.timer apt-daily.timer dev-hugepages.mount dpkg-db-backup.timer
  e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target
  kmod-static-nodes.service proc-sys-fs-binfmt_misc.automount
  sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount
  sys-kernel-tracing.mount systemd-binfmt.service systemd-firstboot.service
  systemd-journal-flush.service systemd-logind.service
  systemd-pcrphase-sysinit.service systemd-pcrphase.service
  systemd-pstore.service systemd-random-seed.service systemd-repart.service
  systemd-sysusers.service systemd-tmpfiles-clean.timer
  systemd-update-utmp.service systemd-update-utmp-runlevel.service
  systemd-user-sessions.service
)

fail() {
  echo "$0: $*" >&2
  exit 1
}

# Of what Serai is built with.
development_packages() {
  grep -o '[a-z0-9+-]*-dev\b' scripts/deps.sh
}

# What the image depends on. Newer packages of the same release are no reason to
# make it again.
inputs() {
  echo "$codename"
  dpkg-deb -f "$kernel/package.deb" Package Version
  cat tests/vm/node/make_image.sh
  development_packages
  (cd tests/vm/node/root && find . -type f -exec sha256sum {} + |
    LC_ALL=C sort)
}

# The packages of the shared ones among them.
libraries() {
  local package
  development_packages | while read -r package; do
    apt-cache depends --important "$package" |
      sed -n 's/^ *Depends: \(lib[^<>]*\)$/\1/p' | grep -v -- '-dev$' || true
  done
}

# This machine's sources of Debian, without others that it may have.
sources() {
  # shellcheck disable=SC2016  # the braces are apt's
  apt-get indextargets --format \
    'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
    'Origin: Debian' | awk '!seen[$0]++'
}

make_root() {
  local options=() path list
  for path in "${left_out[@]}"; do
    options+=(--dpkgopt="path-exclude=$path")
  done
  mapfile -t -O "${#packages[@]}" packages < <(libraries)
  list=$(printf '%s\n' "${packages[@]}" | sort -u | paste -sd,)
  # How this machine reaches its sources: proxies, certificates, checks.
  apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' \
    >"$scratch/apt.conf" || true
  sources >"$scratch/sources.list"
  if [[ ! -s $scratch/sources.list ]]; then
    apt-get update -qq
    sources >"$scratch/sources.list"
  fi
  [[ -s $scratch/sources.list ]] || fail "apt knows no sources of Debian"
  # What it mounts and starts goes with its namespaces.
  unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
    mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
    --include="$list" "${options[@]}" --dpkgopt=force-unsafe-io \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' --aptopt="$scratch/apt.conf" \
    "$codename" "$scratch/root" "$scratch/sources.list"
}

# All modules, of which the node loads what it needs.
add_modules() {
  dpkg-deb -x "$kernel/package.deb" "$scratch/kernel"
  local modules version
  modules=$(find "$scratch/kernel" -path '*/lib/modules/*' -prune)
  version=$(basename "$modules")
  mkdir -p "$scratch/root/usr/lib/modules"
  cp -a "$modules" "$scratch/root/usr/lib/modules/"
  chroot "$scratch/root" /sbin/depmod "$version"
}

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
[[ -f $kernel/package.deb ]] || fail "no $kernel/package.deb (fetch_kernel.sh)"
key=$(inputs | sha256sum | cut -d ' ' -f 1)
[[ $(cat "$directory/key" 2>/dev/null) != "$key" ]] || exit 0
[[ $EUID -eq 0 ]] || fail "not root"
for program in mmdebstrap mkfs.ext4; do
  command -v "$program" >/dev/null || fail "no $program (scripts/deps.sh)"
done

mkdir -p "$directory"
# Left by one that was killed.
rm -rf "$directory"/scratch.*
rm -f "$directory/key"
scratch=$(mktemp -d "$(realpath "$directory")/scratch.XXXXXX")
trap 'rm -rf --one-file-system "$scratch"' EXIT
make_root
add_modules
cp -a --no-preserve=ownership tests/vm/node/root/. "$scratch/root/"
mkdir "$scratch/root/serai"
chroot "$scratch/root" systemctl --quiet mask "${masked[@]}"
chroot "$scratch/root" systemctl --quiet disable containerd.service
chroot "$scratch/root" systemctl --quiet enable serai-agent.service
# Sparse; a run writes to an overlay. Nobody repairs it: no journal.
truncate -s 4G "$scratch/root.ext4"
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1 -L node \
  -d "$scratch/root" "$scratch/root.ext4"
mv "$scratch/root.ext4" "$directory/root.ext4"
echo "$key" >"$directory/key" # last: it says that all is there
