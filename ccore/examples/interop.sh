#!/bin/sh
# The client in C and the gateway in Swift, over a real UDP socket: lines go out, and come out.
# $1: the command ouroboros   $2: posix_client
set -eu
tool="$(realpath "$1")"
client="$(realpath "$2")"
place="$(mktemp -d)"
gateway=""
stop() {
    [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
    [ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
    rm -rf "$place"
}
trap stop EXIT
cd "$place"
device=0102030405060708
"$tool" keygen --out root.key
"$tool" keygen --out other.key
"$tool" device add --store gateway.sqlite --device "$device" --root-key-file root.key --name c >/dev/null
"$tool" gateway --store gateway.sqlite --bind 127.0.0.1:0 >received.jsonl 2>gateway.log &
gateway=$!
port=""
for _ in $(seq 100); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1 port \([0-9]*\).*/\1/p' gateway.log)"
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { cat gateway.log >&2; exit 1; }

passed=0
for line in "one" "" "$(printf '%01150d' 7)"; do
    said="$(timeout 20 "$client" 127.0.0.1 "$port" "$device" root.key "$line")"
    [ "$said" = delivered ] || { echo "a line of ${#line} bytes: $said" >&2; exit 1; }
    grep -q "\"text\":\"$line\"" received.jsonl || { echo "the gateway did not print it" >&2; exit 1; }
    passed=$((passed + 1))
done
# A wrong key gets silence, and nothing comes out.
if timeout 3 "$client" 127.0.0.1 "$port" "$device" other.key "a stranger's" >/dev/null 2>&1; then
    echo "a wrong key was let in" >&2
    exit 1
fi
[ "$(wc -l <received.jsonl)" -eq 3 ] || { echo "the gateway printed something else" >&2; exit 1; }
echo "$((passed + 1)) passed, 0 failed"
