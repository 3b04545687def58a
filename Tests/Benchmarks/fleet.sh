#!/bin/sh
# A simulated fleet against one gateway, of one worker and of two by turns; prints rows of a table.
# $1: directory of the release build   $2: rounds   $3: devices   $4: messages a second   $5: seconds
set -eu
bin="$1" rounds="$2" devices="$3" rate="$4" seconds="$5"
scratch="$(mktemp -d)"
gateway=""
trap 'kill $gateway 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM
"$bin/ouroboros" keygen --out "$scratch/fleet.key" >/dev/null

# $1: which line of /proc/PID/status
status() { sed -n "s/$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$gateway/status"; }
# User and system time so far, in ticks.
ticks() { awk '{ print $14 + $15 }' "/proc/$gateway/stat"; }

# $1: workers
measure() {
    "$bin/ouroboros" gateway --fleet-key-file "$scratch/fleet.key" --bind 127.0.0.1:0 --workers "$1" \
        --pending-sessions 1024 >/dev/null 2>"$scratch/log" &
    gateway=$!
    tries=0
    until grep -q 'listening on' "$scratch/log"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$scratch/log" >&2; exit 1; }
        sleep 0.1
    done
    port="$(sed -n 's/.*listening on .* port \([0-9]*\)$/\1/p' "$scratch/log")"
    before="$(status VmRSS)"
    "$bin/ouroboros" fleet --to "127.0.0.1:$port" --fleet-key-file "$scratch/fleet.key" --devices "$devices" \
        --rate "$rate" --seconds "$seconds" --json >"$scratch/result" || true
    after="$(status VmRSS)"
    used="$(ticks)"
    kill "$gateway"
    wait "$gateway" || true
    gateway=""
    jq -r --arg workers "$1" --argjson kb "$(((after - before) * 100 / devices))" \
        --argjson ms "$((used * 1000 / $(getconf CLK_TCK)))" '"| \($workers) | \(.connected) of \(.devices) | \(.handshakes_per_second | round) | " +
        "\(.delivered_per_second | round) | \(.unknown + .failed) | \(.late) | \(.p50_us / 10 | round / 100) / \(.p99_us / 10 | round / 100) | " +
        "\($kb / 100) | \($ms / 1000) |"' "$scratch/result"
}

echo '| workers | devices connected | handshakes a second | delivered a second | unknown or failed | late | p50 / p99, ms | gateway, KB a device | gateway, processor time, s |'
echo '|---|---|---|---|---|---|---|---|---|'
round=1
while [ "$round" -le "$rounds" ]; do
    measure 1
    measure 2
    round=$((round + 1))
done
