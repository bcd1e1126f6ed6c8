#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Brings what the virtual machine of the tests boots into DIRECTORY
# (build/vm-kernel unless given): Debian's cloud kernel as `vmlinuz`, modules as
# NAME.ko, and `modules`, their names in the order of loading. Debian's package
# is unpacked and not installed. Does nothing when all is there.
#
#   fetch_kernel.sh [DIRECTORY]
set -euo pipefail
cd "$(dirname "$0")/../.."

directory=${1:-build/vm-kernel}
wanted=(kvm-amd tun)

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

# Unpacks the module $1 and those it needs, and writes down what to load.
add_module() {
  local name=$1 file dependencies dependency
  ! grep -qx "$name" "$scratch/modules" || return 0
  # A name's dashes are underscores in other modules.
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
    add_module "$dependency"
  done
  echo "$name" >>"$scratch/modules"
}

export LC_ALL=C
[[ ! -f $directory/modules ]] || exit 0
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
: >"$scratch/modules"
for module in "${wanted[@]}"; do
  add_module "$module"
done
mv "$scratch/modules" "$directory/modules"  # last: it says that all is there
