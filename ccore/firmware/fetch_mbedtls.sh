#!/bin/sh
# Fetches the mbedTLS sources that Debian ships and unpacks them; nothing is installed.
# $1: 3.6 (trixie) or 2.28 (bookworm)   $2: where to, e.g. build/mbedtls-3.6
# The archive is the one that this machine installs from; lists and downloads stay under $2.
set -eu
version="$1"
target="$2"
case "$version" in
3.6)
    suite=trixie
    sum=8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a
    ;;
2.28)
    suite=bookworm
    sum=3b4953aa55a681e084d31892d9904cc5328d6b4958ea57b90ae4b4f94ae69a8d
    ;;
*)
    echo "usage: $0 3.6|2.28 DIRECTORY" >&2
    exit 2
    ;;
esac
[ ! -e "$target/library/aes.c" ] || exit 0

# The first archive of Debian itself (not of its security updates) in either format of apt.
archive_uri() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
        /etc/apt/sources.list.d/*.sources 2>/dev/null |
        sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' \
            -e 's/^deb \(\[[^]]*\] \)*\([^ ]*\) .*/\2/p' |
        grep -E '/debian/?$' | head -n 1
}

uri="$(archive_uri)"
[ -n "$uri" ] || uri=http://deb.debian.org/debian
rm -rf "$target"
mkdir -p "$target.apt/lists/partial" "$target.apt/cache/archives/partial"
work="$(cd "$target.apt" && pwd)"
echo "deb-src $uri $suite main" >"$work/src.list"
apt() {
    apt-get -q -o Dir::Etc::SourceList="$work/src.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@"
}
apt update >&2
(cd "$work" && apt source --only-source --download-only -t "$suite" "mbedtls/$suite") >&2

archive="$(find "$work" -maxdepth 1 -name 'mbedtls_*.orig.tar.*' ! -name '*.asc' | head -n 1)"
[ -n "$archive" ] || { echo "no source archive of mbedTLS $version came" >&2; exit 1; }
got="$(sha256sum "$archive" | cut -d ' ' -f 1)"
if [ "$got" != "$sum" ]; then
    echo "$archive is not the archive that is pinned here: SHA-256 $got" >&2
    exit 1
fi
mkdir -p "$target.new"
tar -x -f "$archive" -C "$target.new" --strip-components=1 --wildcards --no-wildcards-match-slash '*/include' '*/library' '*/LICENSE'
mv "$target.new" "$target"
rm -rf "$work"
