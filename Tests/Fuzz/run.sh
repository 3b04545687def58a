#!/bin/sh
# Runs the fuzz targets, each from its seeds and from what it found before.
# $1: where they were built   $2: seconds for each   $3: bytes of an input at most   the rest: targets
set -eu
built="$1"
seconds="$2"
most="$3"
shift 3
for target in "$@"; do
    mkdir -p "$built/corpus/$target"
    "$built/fuzz_$target" -max_total_time="$seconds" -max_len="$most" -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$built/$target-" "$built/corpus/$target" "Tests/Fuzz/corpus/$target" \
        >"$built/$target.log" 2>&1 || {
        tail -n 40 "$built/$target.log"
        exit 1
    }
    sed -n "s/stat::number_of_executed_units: */$target: inputs /p" "$built/$target.log"
done
