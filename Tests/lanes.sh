# What `make check` and `make check-hard` share: steps with a log each, lanes of steps beside each other, and the
# Swift tests in three lanes. Sourced by bash; $logs is where the logs go.
mkdir -p "$logs"
rm -f "$logs"/*.log "$logs/sums"
lanes=()
# A lane is a process group: what it waits for ends with it.
end_lanes() {
    local lane
    for lane in "${lanes[@]}"; do kill -- "-$lane" 2>/dev/null || true; done
}
trap end_lanes EXIT
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
        grep -an '✘\|error:' "$logs/$name.log" | tail -n 40 || true
        echo "$name failed after $((SECONDS - start)) s: see $logs/$name.log" >&2
        exit 1
    fi
    echo "   $name: $((SECONDS - start)) s"
    passed="$(sed -nE 's/^([0-9]+) passed, 0 failed$/\1/p; s/.*Test run with ([0-9]+) tests? .*passed after.*/\1/p' \
        "$logs/$name.log" | tail -n 1)"
    [ -z "$passed" ] || echo "$name: $passed passed, 0 failed" >>"$logs/sums"
}

# Begins a lane. `join` waits for each, and ends the run as soon as one has failed.
lane() {
    set -m
    "$@" &
    set +m
    lanes+=($!)
}
join() {
    local ended lane left
    while [ "${#lanes[@]}" -gt 0 ]; do
        wait -n -p ended "${lanes[@]}"
        left=()
        for lane in "${lanes[@]}"; do [ "$lane" = "$ended" ] || left+=("$lane"); done
        lanes=("${left[@]}")
    done
}

# From here on nothing can compile or link: what a test runs was built before it, and stays as it is.
seal() {
    local sealed="$logs/sealed" tool
    mkdir -p "$sealed"
    for tool in swift swiftc swift-build swift-test clang clang++ cc gcc c++ g++ ld ld.gold ld.lld cmake \
        arm-none-eabi-gcc riscv64-unknown-elf-gcc s390x-linux-gnu-gcc arm-linux-gnueabihf-gcc aarch64-linux-gnu-gcc; do
        printf '#!/bin/sh\necho "%s: nothing is built while a test runs; build it before" >&2\nexit 97\n' "$tool" \
            >"$sealed/$tool"
        chmod +x "$sealed/$tool"
    done
    PATH="$PWD/$sealed:$PATH"
    if cc --version >/dev/null 2>&1; then
        echo "the compilers are not sealed off" >&2
        exit 1
    fi
}

# The Swift tests in three parts, each test in one of them. In a part one test runs at a time: many at once starve
# those that wait for a network.
swift_tests() {
    local name="$1"
    shift
    step "$name" env NO_COLOR=1 .build/debug/ouroborosPackageTests.xctest --testing-library swift-testing \
        --no-parallel "$@"
    grep -q 'Test run with [1-9][0-9]* test.* passed after' "$logs/$name.log" || {
        echo "no sum of the Swift tests in $logs/$name.log" >&2
        exit 1
    }
}
command='^OuroborosCLITests\.'
# Those that start a database or a broker.
services="$command(Shared|Postgres|Database|FleetKey|FleetFault|Sink|MQTT|Downlink|Registry|Monitoring)"
service_tests() { swift_tests services --filter "$services"; }
command_tests() { swift_tests command --filter "$command" --skip "$services"; }
library_tests() { swift_tests library --skip "$command"; }
