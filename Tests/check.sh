#!/bin/sh
# Everything that can fail, in the order of what is quick; ends with a sum of what was run.
# $1: seeded runs over the simulated network (make soak runs many more).
set -eu
runs="$1"
logs=build/check
mkdir -p "$logs"

# Runs a command with its output in a log, and shows the end of that when it fails.
step() {
    name="$1"
    shift
    echo "== $name"
    start=$(date +%s)
    if "$@" >"$logs/$name.log" 2>&1; then
        echo "   $(($(date +%s) - start)) s"
    else
        tail -n 60 "$logs/$name.log"
        echo "$name failed: see $logs/$name.log" >&2
        exit 1
    fi
}

step lint make lint
step core make test-core RUNS="$runs"
step sanitized make sanitize RUNS="$runs"
step secrets make secrets
step fuzz make fuzz SECONDS=5
step firmware make -j2 firmware-test
step budget make -j2 budget
step cross make -j2 cross-test
step cmake make cmake-test
step swift swift test
step interop make interop
step docs make docs

core="$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/core.log")"
sanitized="$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/sanitized.log")"
# The last sum in a log.
sum_of() {
    grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/$1.log" | tail -n 1
}
firmware="$(sum_of firmware)"
budget="$(sum_of budget)"
cross="$(sum_of cross)"
cmake="$(sum_of cmake)"
interop="$(sum_of interop)"
swift="$(sed -n 's/.*Test run with \([0-9]*\) tests.* passed after.*/\1/p' "$logs/swift.log" | tail -n 1)"
[ -n "$swift" ] || { echo "no sum of the Swift tests in $logs/swift.log" >&2; exit 1; }
sum=$((${core%% *} + ${sanitized%% *} + ${firmware%% *} + ${budget%% *} + ${cross%% *} + ${cmake%% *} + ${interop%% *} + swift))
grep -E '^(network|packets|unreliable|first|BUSY)' "$logs/core.log"
echo "core: $core"
echo "sanitized: $sanitized"
echo "firmware: $firmware"
echo "budget: $budget"
echo "other hosts: $cross"
echo "CMake: $cmake"
echo "C to Swift: $interop"
echo "swift: $swift passed, 0 failed"
echo "$sum passed, 0 failed"
