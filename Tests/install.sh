#!/bin/sh
# Installs the Debian packages that are named and missing.
set -eu
missing=""
for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null 2>&1 || {
    echo "these packages are missing, and there is no apt-get to install them:$missing" >&2
    exit 1
}
as_root=""
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing$missing"
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get -o DPkg::Lock::Timeout=300 install -y -q $missing >/dev/null 2>&1 || {
    $as_root apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -o DPkg::Lock::Timeout=300 install -y -q $missing >/dev/null
}
