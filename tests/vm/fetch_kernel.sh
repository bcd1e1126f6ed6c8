#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Brings what the virtual machines of the tests boot into DIRECTORY
# (build/vm-kernel unless given): Debian's cloud kernel as `vmlinuz`, modules as
# NAME.ko, and their names in the order of loading: `modules`, for the tender,
# and `disk-modules`, for a root file system on a disk. Debian's package, which
# has all modules, is `package.deb`; it is not installed. Does nothing when all
# is there.
#
#   fetch_kernel.sh [DIRECTORY]
set -euo pipefail
cd "$(dirname "$0")/../.."

directory=${1:-build/vm-kernel}
for_tender=(kvm-amd tun)
for_disk=(virtio-pci virtio-blk ext4)

# The package that the one without a version stands for.
find_package() {
  apt-cache depends linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p'
}

download() {
  local package
  package=$(find_package)
  [[ -n $package ]] || return 1
  (cd "$scratch" &&
    apt-get download -qq -o APT::Sandbox::User=root "$package")
}

# Unpacks the module $2 and those it needs, and writes down in $1 what to load.
add_module() {
  local list=$scratch/$1 name=$2 file dependencies dependency
  ! grep -qx "$name" "$list" || return 0
  # A name's dashes are underscores in other modules.
  ! grep -q "/${name//[-_]/[-_]}\.ko$" "$scratch/builtin" || return 0
  file=$(find "$scratch/root" -path '*/kernel/*' \
    -name "${name//[-_]/[-_]}.ko*" -print -quit)
  case "$file" in
    *.ko) cp "$file" "$directory/$name.ko" ;;
    *.ko.xz) xz -dc "$file" >"$directory/$name.ko" ;;
    *)
      echo "$0: no module $name, or one compressed in another way: $file" >&2
      return 1
      ;;
  esac
  dependencies=$(tr '\0' '\n' <"$directory/$name.ko" |
    sed -n 's/^depends=//p' | tr ',' ' ')
  for dependency in $dependencies; do
    add_module "$1" "$dependency"
  done
  echo "$name" >>"$list"
}

export LC_ALL=C
[[ ! -f $directory/package.deb ]] || exit 0
mkdir -p "$directory"
scratch=$(mktemp -d "$directory/unpacked.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# The lists of packages may be missing, or older than what the server has.
if ! download 2>/dev/null; then
  [[ $EUID -ne 0 ]] || apt-get update -qq
  if ! download; then
    echo "$0: can't download linux-image-cloud-amd64" >&2
    exit 1
  fi
fi
dpkg-deb -x "$scratch"/*.deb "$scratch/root"
cp "$scratch"/root/boot/vmlinuz-* "$directory/vmlinuz"
find "$scratch/root" -name modules.builtin -exec cat {} + >"$scratch/builtin"
: >"$scratch/modules"
: >"$scratch/disk-modules"
for module in "${for_tender[@]}"; do
  add_module modules "$module"
done
for module in "${for_disk[@]}"; do
  add_module disk-modules "$module"
done
mv "$scratch/modules" "$scratch/disk-modules" "$directory"
mv "$scratch"/*.deb "$directory/package.deb"  # last: it says that all is there
