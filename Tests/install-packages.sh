#!/usr/bin/env bash
# Installs the missing system packages for building hansa. Arguments may name more packages.
set -euo pipefail
wanted=(libssl-dev libsqlite3-dev zlib1g-dev "$@")
missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "install these packages, or what your system calls them: ${missing[*]}" >&2
    exit 1
fi
echo "Installing ${missing[*]}"
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
