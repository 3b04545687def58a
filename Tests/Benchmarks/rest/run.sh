#!/bin/sh
# What a gateway costs that has nothing to do. A line a gateway, tabs between: what it runs, sessions, messages that wait,
# its processor time as a share of a core in per cent, and how often a second one of its threads woke up (the system
# counts them, voluntary_ctxt_switches).
# $1: directory of the Swift build   $2: sessions   $3: messages   $4: seconds of a measurement
set -eu
bin="$1" sessions="$2" messages="$3" seconds="$4"
# Handshakes are forgotten after a minute, and threads without work end before that.
settle=75
[ "$seconds" -ge 10 ] || settle=5
scratch="$(mktemp -d)"
gateway="" fleet=""
trap 'kill $gateway $fleet 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM
"$bin/ouroboros" keygen --out "$scratch/fleet.key" >/dev/null
"$bin/ouroboros" keygen --out "$scratch/root.key" >/dev/null
"$bin/ouroboros" device add --store "$scratch/gw.sqlite" --device 0102030405060708 \
    --root-key-file "$scratch/root.key" >/dev/null
echo s3cret >"$scratch/token"
chmod 600 "$scratch/token"

# $1: a text   $2: how often it is to stand in the log
wait_for() {
    tries=0
    until [ "$(grep -c "$1" "$scratch/log")" -ge "$2" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 1200 ] || { tail -n 5 "$scratch/log" >&2; echo "“$1” did not come $2 times" >&2; exit 1; }
        sleep 0.1
    done
}

# Its arguments are further options.
start() {
    "$bin/ouroboros" gateway --fleet-key-file "$scratch/fleet.key" --bind 127.0.0.1:0 --pending-sessions 1024 "$@" \
        >/dev/null 2>"$scratch/log" &
    gateway=$!
    wait_for 'listening on' 1
    port="$(sed -n 's/.*listening on .* port \([0-9]*\)$/\1/p' "$scratch/log" | head -n 1)"
}

stop() {
    kill $gateway $fleet
    wait $gateway $fleet || true
    gateway="" fleet=""
}

# Sessions that were made, and then say nothing.
connect() {
    "$bin/ouroboros" fleet --to "127.0.0.1:$port" --fleet-key-file "$scratch/fleet.key" --devices "$sessions" \
        --rate 0.001 --seconds 3600 >/dev/null 2>&1 &
    fleet=$!
    wait_for ' connected$' 1
    before=0
    while now="$(grep -c ' connected$' "$scratch/log")" && [ "$now" -gt "$before" ]; do
        before="$now"
        sleep 3
    done
}

# A line for each thread: its number, and how often it waited.
waits() {
    for thread in "/proc/$gateway/task/"*; do
        sed -n "s/^voluntary_ctxt_switches:[^0-9]*\([0-9]*\)/${thread##*/} \1/p" "$thread/status" 2>/dev/null || true
    done
}
ticks() { awk '{ print $14 + $15 }' "/proc/$gateway/stat"; }

# $1: what runs   $2: sessions   $3: messages
measure() {
    sleep "$settle"
    waits >"$scratch/before"
    ticks_before="$(ticks)"
    sleep "$seconds"
    ticks_after="$(ticks)"
    waits >"$scratch/after"
    awk -v name="$1" -v sessions="$2" -v messages="$3" -v seconds="$seconds" \
        -v ticks="$((ticks_after - ticks_before))" -v second="$(getconf CLK_TCK)" '
        FNR == NR { before[$1] = $2; next }
        { woken += $2 - before[$1] }
        END { printf "%s\t%d\t%d\t%.2f\t%.1f\n", name, sessions, messages, 100 * ticks / second / seconds,
            woken / seconds }
    ' "$scratch/before" "$scratch/after"
}

all="--store $scratch/gw.sqlite --spool $scratch/spool --sink-file $scratch/sink --downlink $scratch/queue
    --downlink-token-file $scratch/token --downlink-http 127.0.0.1:0 --metrics 127.0.0.1:0"

echo "   $sessions sessions that say nothing" >&2
start
connect
measure "gateway" "$sessions" 0
stop
# shellcheck disable=SC2086
start $all
connect
measure "gateway, store, spool, file, messages to devices, page" "$sessions" 0
stop

echo "   $messages messages that wait" >&2
python3 - "$scratch/queue" "$messages" <<'P'
import sqlite3, sys, time
queue = sqlite3.connect(sys.argv[1])
now = int(time.time() * 1000)
with queue:
    queue.executemany(
        "INSERT INTO message (device, queued_at, expires_at, state, payload) VALUES (?, ?, ?, 'queued', ?)",
        (((0x900000 + number).to_bytes(8, "big"), now, now + 86400000, b"x" * 20)
         for number in range(int(sys.argv[2]))))
P
# shellcheck disable=SC2086
start $all
measure "the same" 0 "$messages"
kill "$gateway"
wait "$gateway" || true
gateway=""
