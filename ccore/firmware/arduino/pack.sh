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
cp "$examples/sensor.c" "$examples/sensor.h" "$examples/sleepy_loop.c" "$examples/bare_hooks.h" \
    "$examples/sleepy_hooks.h" "$library/examples/Sensor"
