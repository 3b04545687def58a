#!/bin/sh
# Measures the Swift package and prints lines of tab-separated fields: `ouroboros bench` against `ouroboros
# gateway`, the memory of a sensor, and what NIOBench prints.
# $1: directory of the release build   $2: rounds   $3: seconds of a measurement   $4: "quick" or ""
set -eu
bin="$1" rounds="$2" seconds="$3" quick="$4"
scratch="$(mktemp -d)"
gateways=""
# shellcheck disable=SC2064
trap 'kill $gateways 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM
device=00000000000000f0
"$bin/ouroboros" keygen --out "$scratch/fleet.key" >/dev/null

# $1: name   $2: further options. Ports: $scratch/NAME.udp and NAME.tcp
gateway() {
    # shellcheck disable=SC2086
    "$bin/ouroboros" gateway --fleet-key-file "$scratch/fleet.key" --bind 127.0.0.1:0 \
        --bind tcp://127.0.0.1:0 $2 >/dev/null 2>"$scratch/$1.log" &
    gateways="$gateways $!"
    tries=0
    while [ "$(grep -c 'listening on' "$scratch/$1.log")" -lt 2 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$scratch/$1.log" >&2; echo "the gateway did not start" >&2; exit 1; }
        sleep 0.1
    done
    sed -n 's/.*listening on \(udp:\/\/\)\{0,1\}\([0-9.]*:[0-9]*\).*/\2/p' "$scratch/$1.log" | head -n 1 >"$scratch/$1.udp"
    sed -n 's/.*listening on tcp:\/\/\([0-9.]*:[0-9]*\).*/tcp:\/\/\1/p' "$scratch/$1.log" >"$scratch/$1.tcp"
}

bench() {
    "$bin/ouroboros" bench --device "$device" --fleet-key-file "$scratch/fleet.key" --warm-up 500ms \
        --seconds "$seconds" --json "$@"
}

gateway takes ""
gateway echoes --echo
round=1
while [ "$round" -le "$rounds" ]; do
    for transport in udp tcp; do
        for size in 64 1024; do
            for clients in 1 100; do
                echo "   round $round of $rounds: $transport, $size bytes, $clients clients" >&2
                in_flight=64
                [ "$clients" -eq 1 ] || in_flight=8
                bench --gateway "$(cat "$scratch/takes.$transport")" --size "$size" --clients "$clients" \
                    --in-flight "$in_flight" |
                    jq -r '["rate", .transport, .size, .clients, .messages_per_second] | @tsv'
                bench --gateway "$(cat "$scratch/echoes.$transport")" --size "$size" --clients "$clients" --echo |
                    jq -r '["trip", .transport, .size, .clients, .p50_us, .p99_us] | @tsv'
            done
        done
    done
    round=$((round + 1))
done

echo "   memory and handshakes" >&2
"$bin/ouroboros" keygen --out "$scratch/root.key" >/dev/null
"$bin/ouroboros" device add --store "$scratch/gw.sqlite" --device 0102030405060708 \
    --root-key-file "$scratch/root.key" >/dev/null
"$bin/ouroboros" gateway --store "$scratch/gw.sqlite" --bind 127.0.0.1:0 >"$scratch/readings" 2>"$scratch/store.log" &
gateways="$gateways $!"
sleep 1
port="$(sed -n 's/.*listening on .*:\([0-9]*\).*/\1/p' "$scratch/store.log" | head -n 1)"
for kind in "" --lean; do
    # shellcheck disable=SC2086
    "$bin/ouroboros" sensor --to "127.0.0.1:$port" --device 0102030405060708 --root-key-file "$scratch/root.key" \
        --interval 1s $kind >/dev/null 2>&1 &
    sensor=$!
    sleep 3
    printf 'sensor\t%s\t%s\n' "${kind:-usual}" "$(sed -n 's/VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$sensor/status")"
    kill "$sensor"
    wait "$sensor" 2>/dev/null || true
done
[ -s "$scratch/readings" ] || { echo "the sensor sent nothing" >&2; exit 1; }
"$bin/NIOBench" $quick
