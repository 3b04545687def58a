#!/bin/sh
# Packs the engine as an Arduino and PlatformIO library. $1: the folder that is made
set -eu
library="$1"
here=ccore/firmware/arduino
examples=ccore/examples
rm -rf "$library"
mkdir -p "$library/src" "$library/examples"
cp "$here/library.json" "$here/library.properties" "$here/README.md" "$library"
cp ccore/src/*.c ccore/src/*.h "$library/src"
cp -r include/ouroboros "$library/src"
cp -r "$here/Sensor" "$library/examples"
for name in sensor.c sensor.h sleepy_loop.c bare_hooks.h sleepy_hooks.h socket_hooks.c socket_hooks.h \
    gateway_route.c gateway_route.h stored_credential.c stored_credential.h; do
    cp "$examples/$name" "$library/examples/Sensor"
done
