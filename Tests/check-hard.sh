#!/bin/bash
# The Swift tests, again and again, beside four threads that take all the processor time they get. All was built before.
# $1: how many times. Ends with what stands in docs/BENCHMARKS.md.
set -euo pipefail
times="$1"
hogs=4
logs=build/check-hard
# shellcheck source=Tests/lanes.sh
. Tests/lanes.sh
seal

hog() { while :; do :; done; }
for _ in $(seq "$hogs"); do lane hog; done
hogged=("${lanes[@]}")
trap 'lanes+=("${hogged[@]}"); end_lanes' EXIT

took=()
for run in $(seq "$times"); do
    start="$SECONDS"
    lanes=()
    echo "-- run $run of $times"
    lane service_tests
    lane command_tests
    lane library_tests
    join
    took+=($((SECONDS - start)))
done
echo "commit $(git rev-parse --short HEAD), $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
    "$hogs busy threads: $times runs of $((($(awk '{ n += $2 } END { print n }' "$logs/sums")) / times)) tests, all passed;" \
    "seconds a run: ${took[*]}"
awk '{ passed += $2 } END { print passed " passed, 0 failed" }' "$logs/sums"
