#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what Serai is built of, and what it runs with, from Debian's packages
# (12 or 13). Calls apt only when something is missing.
#
#   deps.sh            to build and to run
#   deps.sh --tests    and to run the tests
#   deps.sh --lint     and to run scripts/check.sh
set -euo pipefail

packages=(
  # to build
  ccache clang cmake g++ gcc ninja-build pkg-config
  libabsl-dev libarchive-dev libboost-dev libcli11-dev libcurl4-openssl-dev libgmock-dev
  libgrpc++-dev libgtest-dev libnl-3-dev libnl-route-3-dev libprotobuf-dev
  libspdlog-dev libssl-dev libsystemd-dev libtomlplusplus-dev libyaml-cpp-dev
  musl-dev nlohmann-json3-dev prometheus-cpp-dev protobuf-compiler
  protobuf-compiler-grpc zlib1g-dev
  # to run
  ca-certificates containernetworking-plugins curl iproute2 iptables
)

for option in "$@"; do
  case "$option" in
    --tests)
      packages+=(
        busybox-static containerd docker-registry e2fsprogs gdb iputils-ping
        mmdebstrap qemu-system-x86 runc xz-utils
      )
      ;;
    --lint) packages+=(clang-format clang-tidy shellcheck) ;;
    *)
      echo "usage: $0 [--tests] [--lint]" >&2
      exit 2
      ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  # shellcheck disable=SC2016  # the braces are dpkg-query's
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
  [[ $state == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $EUID -ne 0 ]]; then
  echo "$0: not root, and these packages are missing: ${missing[*]}" >&2
  exit 1
fi

# The tests start a registry on the loopback interface and a containerd of their
# own. The packages would start them for the whole machine, now and at each boot.
services=()
for service in containerd docker-registry; do
  [[ " ${missing[*]} " != *" $service "* ]] || services+=("$service")
done
policy=/usr/sbin/policy-rc.d
if [[ ${#services[@]} -gt 0 && ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  {
    echo '#!/bin/sh'
    for service in "${services[@]}"; do
      # shellcheck disable=SC2016  # "$1" is the script's
      printf '[ "$1" = %s ] && exit 101\n' "$service"
    done
    echo 'exit 0'
  } >"$policy"
  chmod 755 "$policy"
fi

echo "installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
if ! output=$(apt-get install -y -qq --no-install-recommends "${missing[@]}" 2>&1); then
  echo "$output" >&2
  exit 1
fi

for service in "${services[@]}"; do
  [[ ! -e /etc/init.d/$service ]] || update-rc.d "$service" disable >/dev/null
  [[ ! -d /run/systemd/system ]] || systemctl -q disable "$service"
done
