#!/bin/sh
# The version stands in include/ouroboros/version.h; what other tools read of it has to say the same.
set -eu
version="$(sed -n 's/^#define OURO_LIBRARY_VERSION "\(.*\)"$/\1/p' include/ouroboros/version.h)"
[ -n "$version" ]
same() {
    grep -qF "$2" "$1" || {
        echo "$1 does not say $2, as include/ouroboros/version.h does" >&2
        exit 1
    }
}
same ccore/firmware/idf_component.yml "version: \"$version\""
same ccore/firmware/arduino/library.json "\"version\": \"$version\""
same ccore/firmware/arduino/library.properties "version=$version"
same ccore/firmware/CMakeLists.txt "project(ouroboros VERSION $version "
same docs/CHANGELOG.md "## [$version]"
