#!/bin/bash
# Everything that can fail; ends with a sum of what was run. First all is built, then all is tested: each part in lanes
# beside each other, as compiling keeps the machine busy and tests mostly wait, for networks and databases.
# $1: seeded runs over the simulated network (make soak runs many more).
set -euo pipefail
runs="$1"
kills=50
fuzz_seconds=5
logs=build/check
# shellcheck source=Tests/lanes.sh
. Tests/lanes.sh

# Is there once all system packages are: their way is the shorter one on some machines only.
installed="$logs/installed"
rm -f "$installed"
wait_for_packages() { until [ -e "$installed" ]; do sleep 0.2; done; }

# What has to compile to be checked is checked here, too.
build_engine() {
    step packages make setup-all
    : >"$installed"
    step engine make -j2 check-built-c
    step cmake make cmake-test
    step dropins make dropin-test
    step lint make lint
    step layers make layers
    step cxx make cxx
}
prove_models() {
    wait_for_packages
    step formal make formal
}
build_swift() {
    step swift make check-built-swift
    step analyzer make check-built-analyzer
    wait_for_packages
    step consumer Tests/consumer.sh
    step doc-swift Tests/Docs/swift_blocks.py check
    step docs make docs
}

test_engine() {
    step core env OURO_RUNS="$runs" build/plain/core_tests
    step sanitized env OURO_RUNS="$runs" build/sanitized/core_tests
    step secrets make secrets
    step erasure make erasure
    step fuzz make fuzz-test SECONDS="$fuzz_seconds"
    step firmware make firmware-test
    step budget make budget
    step cross make cross-test
}
test_command() {
    command_tests
    step page Tests/Page/page.sh .build/debug
    step monitoring make monitoring
    step vectors Tests/vectors.sh
    step interop make interop-test
}
test_documents() {
    step netns Tests/netns.sh .build/debug/ouroboros build/firmware/posix_sensor
    step commands Tests/Docs/commands.py
}

lane build_engine
lane prove_models
# Swift is the longer way.
renice -n 10 -g "${lanes[@]}" >/dev/null
lane build_swift
join
built="$SECONDS"

seal
lane test_engine
renice -n 10 -g "${lanes[0]}" >/dev/null
lane service_tests
lane test_command
lane library_tests
lane test_documents
join
# Alone, as it takes the machine.
OURO_KILLS="$kills" swift_tests kills --filter '^OuroborosCLITests\.CrashTests'

grep -E '^(network|packets|unreliable|first|BUSY)' "$logs/core.log"
grep -aE '^kills: ' "$logs/kills.log"
grep -hE '^skipped: ' "$logs/netns.log" "$logs/commands.log" || true
cat "$logs/sums"
echo "built in $built s, tested in $((SECONDS - built)) s"
awk '{ passed += $2 } END { print passed " passed, 0 failed" }' "$logs/sums"
