#!/bin/sh
# Runs the test images of emulated boards; ends with a plain sum, and fails if any of them does.
# $1: the directory of the images   $2: those in Embedded Swift   the rest: those in C, e.g. m4-Os-3.6
set -u
directory="$1"
swift_images="$2"
shift 2
logs="$directory/logs"
mkdir -p "$logs"
passed=0
failed=0

# The machine that runs an image of this name; Cortex-M0+ code is part of what a Cortex-M3 runs.
emulate() {
    case "$1" in
    m4-* | m4swift-*) machine=mps2-an386 ;;
    m33-*) machine=mps2-an505 ;;
    rv32*)
        timeout 120 qemu-system-riscv32 -M virt -bios none -nographic -monitor none \
            -serial stdio -kernel "$2" </dev/null
        return
        ;;
    *) machine=mps2-an385 ;;
    esac
    timeout 120 qemu-system-arm -M "$machine" -nographic -monitor none -serial null \
        -semihosting-config enable=on,target=native -kernel "$2" </dev/null
}

outcomes() {
    tr -d '\r' <"$1" | grep -E '^(fault run|primitives)'
}

"$directory/host_faults" >"$logs/host.log" || { cat "$logs/host.log"; failed=$((failed + 1)); }

# Runs the image $1 of the build $2 into the log $3; its sum is counted, or it has failed.
run() {
    emulate "$2" "$directory/$2/$1" >"$3" 2>&1
    status=$?
    sum="$(tr -d '\r' <"$3" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')"
    good="${sum% *}"
    bad="${sum#* }"
    if [ "$status" -ne 0 ] || [ -z "$sum" ]; then
        tail -n 20 "$3"
        echo "$2/$1: exit status $status"
        [ -n "$sum" ] && [ "$bad" -gt 0 ] || bad=1
    fi
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
}

for name in $swift_images; do
    run swift.elf "$name" "$logs/$name.log"
    echo "$name: Embedded Swift, $(grep -aE '^heap' "$logs/$name.log" | tr -d '\r')"
done
for name in "$@"; do
    log="$logs/$name.log"
    run test.elf "$name" "$log"
    # The primitives come to what the host's library says, and the fault runs end as on the host, to
    # the packet.
    outcomes "$log" >"$logs/$name.outcomes"
    if outcomes "$logs/host.log" | cmp -s - "$logs/$name.outcomes"; then
        passed=$((passed + 1))
    else
        echo "$name: the outcomes are not those of the host"
        failed=$((failed + 1))
    fi
    echo "$name: $(grep -E '^(stack|crypto pool)' "$log" | tr -d '\r' | sed 's/,.*//' | paste -sd ';')"
done
grep '^fault run' "$logs/host.log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
