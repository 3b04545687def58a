#!/bin/sh
# Compiles the packed library, and of its example what needs no Arduino core, from that folder alone; its sockets with
# lwIP's headers, which are what an ESP32 has.
# $1: the folder   $2: mbedTLS's headers   the rest: the compiler
set -eu
library="$1"
headers="$2"
shift 2
passed=0
for source in "$library"/src/*.c "$library"/examples/Sensor/*.c; do
    "$@" -std=gnu99 -Wall -Werror -fsyntax-only -I"$library/src" -I"$library/examples/Sensor" -isystem "$headers" \
        -Iccore/firmware/arduino/lwip_port -isystem /usr/include/lwip/compat/posix -isystem /usr/include/lwip "$source"
    passed=$((passed + 1))
done
for file in src/ouroboros/ouroboros.h library.properties library.json examples/Sensor/Sensor.ino; do
    [ -s "$library/$file" ] || { echo "the library lacks $file" >&2; exit 1; }
done
echo "$passed passed, 0 failed"
