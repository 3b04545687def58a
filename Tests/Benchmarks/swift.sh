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

# $1: name   $2: where its lines go   $3: whose devices, and further options.
# Its addresses: $scratch/NAME.udp and NAME.tcp
gateway() {
    # shellcheck disable=SC2086
    "$bin/ouroboros" gateway --bind 127.0.0.1:0 --bind tcp://127.0.0.1:0 $3 >"$2" \
        2>"$scratch/$1.log" &
    gateways="$gateways $!"
    tries=0
    while [ "$(grep -c 'listening on' "$scratch/$1.log")" -lt 2 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$scratch/$1.log" >&2; echo "the gateway did not start" >&2; exit 1; }
        sleep 0.1
    done
    sed -n 's/.*listening on \([0-9.]*\) port \([0-9]*\)$/\1:\2/p' "$scratch/$1.log" >"$scratch/$1.udp"
    sed -n 's/.*listening on \([0-9.]*\) port \([0-9]*\) (TCP)$/tcp:\/\/\1:\2/p' "$scratch/$1.log" >"$scratch/$1.tcp"
}

# $1: the fields of the line, for jq   then: options of the measurement
bench() {
    fields="$1"
    shift
    "$bin/ouroboros" bench --device "$device" --fleet-key-file "$scratch/fleet.key" --warm-up 500ms \
        --seconds "$seconds" --json "$@" >"$scratch/result"
    jq -r "[$fields] | @tsv" "$scratch/result"
}

gateway takes /dev/null "--fleet-key-file $scratch/fleet.key"
gateway echoes /dev/null "--fleet-key-file $scratch/fleet.key --echo"
round=1
while [ "$round" -le "$rounds" ]; do
    for transport in udp tcp; do
        for size in 64 1024; do
            for clients in 1 100; do
                echo "   round $round of $rounds: $transport, $size bytes, $clients clients" >&2
                in_flight=64
                [ "$clients" -eq 1 ] || in_flight=8
                bench '"rate", .transport, .size, .clients, .messages_per_second' --size "$size" \
                    --gateway "$(cat "$scratch/takes.$transport")" --clients "$clients" --in-flight "$in_flight"
                bench '"trip", .transport, .size, .clients, .p50_us, .p99_us' --size "$size" \
                    --gateway "$(cat "$scratch/echoes.$transport")" --clients "$clients" --echo
            done
        done
    done
    round=$((round + 1))
done

echo "   memory and handshakes" >&2
"$bin/ouroboros" keygen --out "$scratch/root.key" >/dev/null
"$bin/ouroboros" device add --store "$scratch/gw.sqlite" --device 0102030405060708 \
    --root-key-file "$scratch/root.key" >/dev/null
gateway readings "$scratch/readings" "--store $scratch/gw.sqlite"
# The memory of a sensor after some readings. $1: name   then: the command
sensor() {
    name="$1"
    shift
    "$@" >"$scratch/sensor.log" 2>&1 &
    sensor=$!
    sleep 3
    resident="$(sed -n 's/VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$sensor/status")" ||
        { cat "$scratch/sensor.log" >&2; exit 1; }
    printf 'sensor\t%s\t%s\n' "$name" "$resident"
    kill "$sensor"
    wait "$sensor" || true
}
address="$(cat "$scratch/readings.udp")"
command="$bin/ouroboros sensor --to $address --device 0102030405060708 --root-key-file $scratch/root.key --interval 1s"
echo 21500 >"$scratch/value"
# shellcheck disable=SC2086
sensor usual $command
# shellcheck disable=SC2086
sensor --lean $command --lean
sensor RPiSensor "$bin/RPiSensor" "${address%:*}" "${address#*:}" 0102030405060708 "$scratch/root.key" 1 0 \
    "$scratch/value"
[ -s "$scratch/readings" ] || { echo "the sensors sent nothing" >&2; exit 1; }
# shellcheck disable=SC2086
"$bin/NIOBench" $quick
