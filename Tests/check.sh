#!/bin/bash
# Everything that can fail; ends with a sum of what was run. Lanes of steps run beside each other: compiling keeps the
# machine busy at first, and tests mostly wait, for networks and databases, later.
# $1: seeded runs over the simulated network (make soak runs many more).
set -euo pipefail
runs="$1"
kills=50
logs=build/check
mkdir -p "$logs"
rm -f "$logs"/*
lanes=()
# A lane is a process group: what it waits for ends with it.
trap 'for lane in "${lanes[@]}"; do kill -- "-$lane" 2>/dev/null || true; done' EXIT
trap 'exit 1' INT TERM

# Runs a command with its output in a log, and shows the end of that when it fails. A last line
# "N passed, N failed" in the log, or the closing line of swift test, goes into the sum.
step() {
    local name="$1" start="$SECONDS" passed
    shift
    echo "== $name"
    if ! "$@" >"$logs/$name.log" 2>&1; then
        tail -n 20 "$logs/$name.log"
        # What failed may stand far above the end; a log that is cut keeps its last lines.
        grep -n '✘\|error:' "$logs/$name.log" | tail -n 40 || true
        echo "$name failed: see $logs/$name.log" >&2
        exit 1
    fi
    echo "   $name: $((SECONDS - start)) s"
    passed="$(sed -nE 's/^([0-9]+) passed, 0 failed$/\1/p; s/.*Test run with ([0-9]+) tests? .*passed after.*/\1/p' \
        "$logs/$name.log" | tail -n 1)"
    [ -z "$passed" ] || echo "$name: $passed passed, 0 failed" >>"$logs/sums"
}

# Begins a lane. `join` waits for each, and ends the run if one failed.
lane() {
    set -m
    "$@" &
    set +m
    lanes+=($!)
}
join() {
    local lane
    for lane in "${lanes[@]}"; do wait "$lane"; done
    lanes=()
}

engine() {
    step lint make lint
    step layers make layers
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
}

# The Swift tests in three parts, each test in one of them. `swift test` would let no second one run beside it. In a part
# one test runs at a time: many at once starve those that wait for a network.
swift_tests() {
    local name="$1"
    shift
    step "$name" env NO_COLOR=1 .build/debug/ouroborosPackageTests.xctest --testing-library swift-testing \
        --no-parallel "$@"
}
command='^OuroborosCLITests\.'
# Those that start a database or a broker.
services="$command(Shared|Postgres|Database|FleetKey|FleetFault|Sink|MQTT|Downlink|Registry|Monitoring)"
library() {
    swift_tests library --skip "$command"
    step netns Tests/netns.sh .build/debug/ouroboros
    step page make page-test
    step monitoring make monitoring
}

lane engine
# Swift comes first, and its tests are not to wait for processor time.
renice -n 10 -g "${lanes[0]}" >/dev/null
step build swift build --build-tests
lane swift_tests services --filter "$services"
lane swift_tests command --filter "$command" --skip "$services"
lane library
join
step vectors Tests/vectors.sh
step interop make interop
step kills env OURO_KILLS="$kills" swift test --skip-build --filter CrashTests
step docs make docs

grep -E '^(network|packets|unreliable|first|BUSY)' "$logs/core.log"
grep -aE '^kills: ' "$logs/kills.log"
grep -E '^skipped: ' "$logs/netns.log" || true
for part in services command library; do
    grep -q "^$part: " "$logs/sums" || { echo "no sum of the Swift tests in $logs/$part.log" >&2 && exit 1; }
done
cat "$logs/sums"
awk '{ passed += $2 } END { print passed " passed, 0 failed" }' "$logs/sums"
