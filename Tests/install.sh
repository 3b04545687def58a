#!/bin/sh
# Installs the Debian packages that are named and missing.
set -eu
# `:amd64` and the like are no part of the names here.
there="$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p')" || true
missing="$(printf '%s\n' "$@" | sort -u | grep -vxF "$there" | tr '\n' ' ')" || true
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null 2>&1 || {
    echo "these packages are missing, and there is no apt-get to install them: $missing" >&2
    exit 1
}
as_root=""
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing with apt: $missing"
install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q \
        --no-install-recommends $missing >/dev/null
}
# On a machine whose lists are new enough they need not be fetched.
install 2>/dev/null || {
    $as_root apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null
    install
}
