#!/bin/sh
# Runs the core tests of other machines in qemu-user; ends with a plain sum.
# $1: build directory   $2: machines   the rest: suites
set -u
build="$1"
machines="$2"
shift 2
passed=0
failed=0
for machine in $machines; do
    log="$build/cross-$machine/log"
    timeout 300 "qemu-$machine" "$build/cross-$machine/core_tests" "$@" >"$log" 2>&1
    status=$?
    sum="$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log")"
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$log"
        failed=$((failed + 1))
    fi
    echo "$machine: exit status $status, ${sum:-no sum} (passed, failed)"
    passed=$((passed + $(echo "${sum:-0}" | cut -d " " -f 1)))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
