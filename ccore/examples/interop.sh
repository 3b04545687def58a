#!/bin/sh
# Sensors in C and the gateway in Swift, over real UDP sockets: readings go out and come out, with a
# sleep without power after each batch, for fixed and evolving credentials.
# $1: the command ouroboros   the rest: sensors, programs of this machine or images (.elf) for QEMU
set -eu
umask 077
tool="$(realpath "$1")"
shift
sensors=""
for sensor in "$@"; do
    sensors="$sensors $(realpath "$sensor")"
done
place="$(mktemp -d)"
gateway=""
stop() {
    [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
    [ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
    rm -rf "$place"
}
trap stop EXIT
cd "$place"
passed=0
# The blob of a device $1, whose key is $2 and whose kind is $3, and behind it $4 (hexadecimal).
blob() {
    [ "$3" = evolving ] && flags=01 || flags=00
    printf '%s%s%s%016x%s' "$flags" "$1" "$2" 0 "$4" | tr a-f A-F | basenc --base16 -d
}
fail() {
    echo "$1" >&2
    tail -n 5 gateway.log >&2
    exit 1
}

"$tool" keygen --out other.key
number=0
for sensor in $sensors; do
    for kind in fixed evolving; do
        number=$((number + 1))
        device="$(printf '%016x' "$number")"
        mkdir "$device"
        "$tool" keygen --out "$device/root.key"
        flag=""
        [ "$kind" = fixed ] || flag=--evolving
        "$tool" device add --store gateway.sqlite --device "$device" $flag --root-key-file "$device/root.key" \
            --name "$kind" >/dev/null 2>&1
        echo "$sensor $device $kind" >>runs
    done
done
: >gateway.log
"$tool" gateway --store gateway.sqlite --bind 127.0.0.1:0 >received.jsonl 2>gateway.log &
gateway=$!
port=""
for _ in $(seq 600); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1 port \([0-9]*\).*/\1/p' gateway.log)"
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || fail "the gateway does not listen"
# Whoever has an evolving credential is told the gateway's port and name behind it, the others by the environment.
while read -r sensor device kind; do
    second=""
    [ "$kind" = fixed ] || second="$(printf '%04x%02x' "$port" 9)6c6f63616c686f7374"
    blob "$device" "$(cat "$device/root.key")" "$kind" "$second" >"$device/credential"
done <runs

# Runs the sensor $1 of the kind $3 in the directory $2 until it switches itself off: one night.
night() (
    cd "$2"
    case "$1" in
    */m4-*.elf) machine=mps2-an386 ;;
    */m3-*.elf) machine=mps2-an385 ;;
    *)
        [ "$3" = evolving ] || export OUROBOROS_HOST=127.0.0.1 OUROBOROS_PORT="$port"
        timeout 60 "$1" 2>sensor.log
        return
        ;;
    esac
    timeout 60 qemu-system-arm -M "$machine" -nographic -monitor none -serial null \
        -nic socket,model=lan9118,udp=127.0.0.1:"$port",localaddr=127.0.0.1:0 \
        -semihosting-config enable=on,target=native -kernel "$1" </dev/null 2>sensor.log
)

# The readings $2 to $3 of the device $1, and what the gateway has printed of it.
readings() { seq "$2" "$3" | sed "s/^/reading $1 /"; }
came() { grep "\"device\":\"$1\"" received.jsonl | sed 's/.*"text":"\([^"]*\)".*/\1/'; }
sessions() { grep "\"device\":\"$1\"" received.jsonl | sed 's/.*"session":\([0-9]*\).*/\1/' | sort -u | wc -l; }

while read -r sensor device kind; do
    name="$(basename "$(dirname "$sensor")")/$(basename "$sensor"), $kind"
    first=1
    for last in 20 25 26; do
        readings "$device" "$first" "$last" >"$device/readings"
        night "$sensor" "$device" "$kind" || fail "$name: readings $first to $last: $(cat "$device/sensor.log")"
        [ -s "$device/session" ] || fail "$name: no session was saved"
        first=$((last + 1))
    done
    [ "$(sessions "$device")" -eq 1 ] || fail "$name: the saved session was not taken up"
    # A lost session costs a handshake, and nothing else.
    rm "$device/session"
    readings "$device" 27 28 >"$device/readings"
    night "$sensor" "$device" "$kind" || fail "$name: after the session was lost: $(cat "$device/sensor.log")"
    [ "$(sessions "$device")" -eq 2 ] || fail "$name: no new session"
    [ "$(came "$device")" = "$(readings "$device" 1 28)" ] || fail "$name: the gateway printed something else"
    epoch="$(od -An -v -tx1 -j41 -N8 "$device/credential" | tr -d ' \n')"
    case "$kind $epoch" in
    "fixed 0000000000000000") ;;
    "evolving 0000000000000002")
        [ "$(tail -c 9 "$device/credential")" = localhost ] || fail "$name: the gateway's name is gone" ;;
    *) fail "$name: epoch $epoch after two handshakes" ;;
    esac
    echo "$name: 28 readings, 4 nights, 2 handshakes"
    passed=$((passed + 1))
done <runs

# A wrong key gets silence, and nothing comes out.
lines="$(wc -l <received.jsonl)"
read -r sensor device kind <runs
rm "$device/session"
cp "$device/credential" "$device/right"
blob "$device" "$(cat other.key)" "$kind" "" >"$device/credential"
echo "a stranger's" >"$device/readings"
if (cd "$device" && OUROBOROS_HOST=127.0.0.1 OUROBOROS_PORT="$port" timeout 3 "$sensor" 2>sensor.log); then
    fail "a wrong key was let in"
fi
# The right key is let in at once after that, and what it sends is all that comes.
cp "$device/right" "$device/credential"
night "$sensor" "$device" "$kind" || fail "the right key: $(cat "$device/sensor.log")"
[ "$(wc -l <received.jsonl)" -eq "$((lines + 1))" ] || fail "the gateway printed something else"

# What is no credential is refused, with what is wrong with it, and stays as it is.
refused() {
    cp "$device/credential" "$device/bad"
    ! night "$sensor" "$device" "$kind" || fail "a bad credential was taken: $1"
    grep -q "sensor: credential: $1" "$device/sensor.log" || fail "$1, not: $(cat "$device/sensor.log")"
    cmp -s "$device/credential" "$device/bad" || fail "a bad credential was changed: $1"
}
head -c 48 "$device/right" >"$device/credential"
refused "is not 49 bytes long"
echo "$device 0 $kind $(cat other.key)" >"$device/credential"
refused "has flags that mean nothing"
head -c 49 /dev/zero >"$device/credential"
refused "has a key of zeros"
blob "$device" "$(cat other.key)" fixed 16440567772e >"$device/credential"
refused "has a gateway whose name is empty, cut"
echo "$((passed + 5)) passed, 0 failed"
