#!/bin/sh
# Everything that can fail, in the order of what is quick; ends with a sum of what was run.
# $1: seeded runs over the simulated network (make soak runs many more).
set -eu
runs="$1"
kills=50
logs=build/check
mkdir -p "$logs"
total=0
sums=""

# Runs a command with its output in a log, and shows the end of that when it fails. A last line
# "N passed, N failed" in the log, or the closing line of swift test, goes into the sum.
step() {
    name="$1"
    shift
    echo "== $name"
    start=$(date +%s)
    if ! "$@" >"$logs/$name.log" 2>&1; then
        tail -n 20 "$logs/$name.log"
        # What failed may stand far above the end; a log that is cut keeps its last lines.
        grep -n '✘\|error:' "$logs/$name.log" | tail -n 40 || true
        echo "$name failed: see $logs/$name.log" >&2
        exit 1
    fi
    echo "   $(($(date +%s) - start)) s"
    passed="$(sed -nE 's/^([0-9]+) passed, 0 failed$/\1/p; s/.*Test run with ([0-9]+) tests? .*passed after.*/\1/p' \
        "$logs/$name.log" | tail -n 1)"
    [ -z "$passed" ] || sums="$sums$name: $passed passed, 0 failed
"
    total=$((total + ${passed:-0}))
}

step lint make lint
# The steps that follow leave a core idle now and then: Swift builds meanwhile.
swift build --build-tests >"$logs/build.log" 2>&1 &
building=$!
trap 'kill "$building" 2>/dev/null || true' EXIT
built() {
    wait "$building" || { cat "$logs/build.log"; return 1; }
}
step core make test-core RUNS="$runs"
step sanitized make sanitize RUNS="$runs"
step secrets make secrets
step formal make formal
step fuzz make fuzz SECONDS=5
step firmware make -j2 firmware-test
step budget make -j2 budget
step cross make -j2 cross-test
step cmake make cmake-test
step dropins make dropin-test
step build built
# One test at a time: on two cores, many at once starve those that wait for a network.
step swift swift test --skip-build --no-parallel
step netns Tests/netns.sh .build/debug/ouroboros
step vectors Tests/vectors.sh
step page make page-test
step monitoring make monitoring
step kills env OURO_KILLS="$kills" swift test --skip-build --filter CrashTests
step interop make interop
step docs make docs

case "$sums" in *"swift: "*) ;; *) echo "no sum of the Swift tests in $logs/swift.log" >&2 && exit 1 ;; esac
grep -E '^(network|packets|unreliable|first|BUSY)' "$logs/core.log"
grep -aE '^kills: ' "$logs/kills.log"
grep -E '^skipped: ' "$logs/netns.log" || true
printf '%s' "$sums"
echo "$total passed, 0 failed"
