#!/bin/sh
# Builds the CMake project for the host and for Cortex-M4, and uses the installed one.
# $1: build directory
set -eu
build="$(pwd)/$1/cmake"
firmware=ccore/firmware
rm -rf "$build"
cmake -S "$firmware" -B "$build/host" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$build/installed" >/dev/null
cmake --build "$build/host" >/dev/null
cmake --install "$build/host" >/dev/null
cmake -S "$firmware/cmake/consumer" -B "$build/consumer" -DCMAKE_PREFIX_PATH="$build/installed" >/dev/null
cmake --build "$build/consumer" >/dev/null
"$build/consumer/consumer"
cmake -S "$firmware" -B "$build/m4" -DCMAKE_BUILD_TYPE=MinSizeRel \
    -DCMAKE_TOOLCHAIN_FILE="$(pwd)/$firmware/cmake/cortex-m4.cmake" \
    -DOUROBOROS_MBEDTLS_DIR="$(pwd)/$1/mbedtls-3.6" >/dev/null
cmake --build "$build/m4" >/dev/null
test -s "$build/m4/libouroboros.a"
test -s "$build/m4/libouroboros_mbedtls.a"
echo "2 passed, 0 failed"
