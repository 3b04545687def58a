#!/bin/bash
# The Swift tests, again and again, beside four threads that take all the processor time they get. All was built before.
# $1: how many runs, $2: how many of them beside each other. Ends with what stands in docs/BENCHMARKS.md.
set -euo pipefail
times="$1"
at_once="$2"
hogs=4
logs=build/check-hard
# shellcheck source=Tests/lanes.sh
. Tests/lanes.sh
seal
rm -rf "$logs"/run-*

hog() { while :; do :; done; }
for _ in $(seq "$hogs"); do lane hog; done
hogged=("${lanes[@]}")
trap 'lanes+=("${hogged[@]}"); end_lanes' EXIT

# One run, with logs and lanes of its own.
run() {
    local start="$SECONDS"
    logs="$logs/run-$1"
    . Tests/lanes.sh
    echo "-- run $1 of $times"
    lane service_tests
    lane command_tests
    lane library_tests
    join
    echo "$((SECONDS - start))" >"$logs/took"
}

for first in $(seq 1 "$at_once" "$times"); do
    lanes=()
    for number in $(seq "$first" $((first + at_once - 1))); do
        [ "$number" -gt "$times" ] || lane run "$number"
    done
    join
done
passed="$(awk '{ n += $2 } END { print n }' "$logs"/run-*/sums)"
echo "commit $(git rev-parse --short HEAD), $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
    "$hogs busy threads: $times runs of $((passed / times)) tests, $at_once at a time, all passed;" \
    "seconds a run: $(sort -n "$logs"/run-*/took | tr '\n' ' ')"
echo "$passed passed, 0 failed"
