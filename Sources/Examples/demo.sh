#!/bin/sh
# The main job on an embedded default: a gateway with its own store, one device, one sensor, UDP on
# loopback. Stops by itself. $1: the command.
set -eu
tool="$(realpath "$1")"
place="$(mktemp -d)"
gateway=""
stop() {
    [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
    [ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
    rm -rf "$place"
}
trap stop EXIT
cd "$place"

echo "1. a root key, and a device in the gateway's store"
"$tool" keygen --out root.key
"$tool" device add --store gateway.sqlite --device 0102030405060708 --root-key-file root.key --name kitchen
"$tool" device list --store gateway.sqlite

echo "2. the gateway listens; its readings come out as JSON lines"
# Port 0: the system chooses a free one, and the gateway's log says which.
"$tool" gateway --store gateway.sqlite --bind 127.0.0.1:0 >readings.jsonl 2>gateway.log &
gateway=$!
port=""
for _ in $(seq 600); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1 port \([0-9]*\).*/\1/p' gateway.log)"
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { cat gateway.log >&2; exit 1; }

echo "3. the sensor sends three readings over UDP to 127.0.0.1:$port"
"$tool" sensor --to "127.0.0.1:$port" --device 0102030405060708 --root-key-file root.key \
    --interval 1s --count 3

echo "4. what the gateway received and acknowledged"
cat readings.jsonl
[ "$(wc -l <readings.jsonl)" -eq 3 ]

echo "5. the gateway stops on SIGTERM"
kill "$gateway"
wait "$gateway"
gateway=""
echo "done: 3 readings sent, 3 received"
