#!/bin/sh
# The same simulated fleets against one server after the other, by turns. A line a run, tabs between: devices, messages a
# second, the server, devices that connected, handshakes a second, messages delivered a second, not delivered, late, p50
# and p99 in microseconds, the server's growth in bytes a device, and its processor time in seconds.
# $1: directory of the Swift build   $2: directory of the other protocols' devices   $3: rounds
# $4: seconds   $5: the fleets, each DEVICES:MESSAGES_A_SECOND
set -eu
bin="$1" others="$2" rounds="$3" seconds="$4" fleets="$5"
size=64
scratch="$(mktemp -d)"
server="" subscriber=""
trap 'kill $server $subscriber 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM
for fleet in $fleets; do
    # One for each device on the server's side, and three on its own: Mosquitto's library has a pair of them beside the socket.
    needed="$((3 * ${fleet%:*} + 1000))"
    ulimit -Sn "$needed" 2>/dev/null || {
        echo "${fleet%:*} devices need $needed descriptors: raise the limit (ulimit -Hn)" >&2
        exit 1
    }
done
"$bin/ouroboros" keygen --out "$scratch/fleet.key" >/dev/null
echo "device:000102030405060708090a0b0c0d0e0f" >"$scratch/psk"

# $1: which line of /proc/PID/status
status() { sed -n "s/$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$server/status"; }
# User and system time so far, in ticks.
ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }

# $1: a command that succeeds once the server listens
wait_for() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$scratch/log" >&2; exit 1; }
        sleep 0.1
    done
}

# Port numbers below those that the kernel gives to clients; the load says so if one is taken.
new_port() { port=$((20000 + ($$ + $1) % 10000)); }

# Its arguments are further options of the gateway.
start_ouroboros() {
    "$bin/ouroboros" gateway --fleet-key-file "$scratch/fleet.key" --bind 127.0.0.1:0 \
        --pending-sessions 1024 "$@" >/dev/null 2>"$scratch/log" &
    server=$!
    wait_for grep -q 'listening on' "$scratch/log"
    port="$(sed -n 's/.*listening on .* port \([0-9]*\)$/\1/p' "$scratch/log")"
}

load_ouroboros() {
    "$bin/ouroboros" fleet --to "127.0.0.1:$port" --fleet-key-file "$scratch/fleet.key" \
        --devices "$devices" --rate "$rate" --size "$size" --seconds "$seconds" --json || true
}

# libcoap's server listens for DTLS at the next port.
start_coap() {
    new_port 0
    coap-server-openssl -A 127.0.0.1 -p "$port" -h hint -k 0123456789abcdef0123456789abcdef -v 0 \
        >"$scratch/log" 2>&1 &
    server=$!
    port=$((port + 1))
    wait_for grep -q "$(printf ':%04X' "$port")" /proc/net/udp
}

# One subscriber takes everything, as the gateway's standard output does. $1: further lines of the configuration
start_mosquitto() {
    new_port 10
    {
        # Of root it would become a user who cannot read the scratch directory.
        echo 'user root'
        printf 'listener %d 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n' "$((port + 1))"
        printf 'listener %d 127.0.0.1\nset_tcp_nodelay true\nallow_anonymous true\n%s\n' "$port" "$1"
    } >"$scratch/mosquitto.conf"
    mosquitto -c "$scratch/mosquitto.conf" >"$scratch/log" 2>&1 &
    server=$!
    wait_for mosquitto_pub -h 127.0.0.1 -p "$((port + 1))" -t ready -n
    mosquitto_sub -h 127.0.0.1 -p "$((port + 1))" -q 1 -t '#' >/dev/null &
    subscriber=$!
}

load_other() { "$others/$1" 127.0.0.1 "$port" "$devices" "$rate" "$size" "$seconds"; }

# $1: what the row is called   then: the command that loads the server
measure() {
    name="$1"
    shift
    before="$(status VmRSS)"
    "$@" >"$scratch/result"
    after="$(status VmRSS)"
    used="$(ticks)"
    kill $server $subscriber
    wait $server $subscriber 2>/dev/null || true
    server="" subscriber=""
    jq -r --arg name "$name" --arg fleet "$devices" --arg rate "$rate" --argjson growth "$(((after - before) * 1024 / devices))" \
        --argjson cpu "$used" --argjson hertz "$(getconf CLK_TCK)" '[$fleet, $rate, $name, .connected, .handshakes_per_second,
        .delivered_per_second, .unknown + .failed, .late, .p50_us, .p99_us, $growth, $cpu / $hertz] | @tsv' \
        "$scratch/result"
}

measure_all() {
    start_ouroboros
    measure "gateway" load_ouroboros
    start_ouroboros --workers 2
    measure "gateway, 2 workers" load_ouroboros
    rm -f "$scratch"/spool*
    start_ouroboros --spool "$scratch/spool.sqlite"
    measure "gateway, spool" load_ouroboros
    start_coap
    measure "libcoap, DTLS-PSK" load_other coap
    start_mosquitto ""
    measure "mosquitto, plain" load_other mqtt
    start_mosquitto "psk_hint hint
psk_file $scratch/psk"
    measure "mosquitto, TLS-PSK" load_other mqtt-psk
}

round=1
while [ "$round" -le "$rounds" ]; do
    for fleet in $fleets; do
        devices="${fleet%:*}" rate="${fleet#*:}"
        measure_all
    done
    round=$((round + 1))
done
