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
step swift swift test
step kills env OURO_KILLS=50 swift test --skip-build --filter CrashTests

core="$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/core.log")"
sanitized="$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/sanitized.log")"
swift="$(sed -n 's/.*Test run with \([0-9]*\) tests.* passed after.*/\1/p' "$logs/swift.log" | tail -n 1)"
[ -n "$swift" ] || { echo "no sum of the Swift tests in $logs/swift.log" >&2; exit 1; }
sum=$((${core%% *} + ${sanitized%% *} + swift))
grep -E '^(network|packets|unreliable|first|BUSY)' "$logs/core.log"
grep -aE '^kills: ' "$logs/kills.log"
echo "core: $core"
echo "sanitized: $sanitized"
echo "swift: $swift passed, 0 failed (the kills among them)"
echo "$sum passed, 0 failed"
