#!/bin/sh
# The real command across network namespaces that it makes: a gateway, a router that translates addresses,
# and a device, joined by veth. Losses by iptables, rate by tbf, MTU by ip link. $1: the command   $2: the sensor in C.
# Where the kernel or the rights are missing it says why, and ends with 0: the proxy's tests stay.
set -eu
export LC_ALL=C
tool="$(realpath "$1")"
sensor="$(realpath "$2")"
id="ouro$$"
dev="$id-d" rtr="$id-r" gw="$id-g"
scratch="$(mktemp -d)"
passed=0
gateway=""

clean() {
    [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
    for ns in "$dev" "$rtr" "$gw"; do ip netns del "$ns" 2>/dev/null || true; done
    rm -rf "$scratch" "/etc/netns/$dev"
}
trap clean EXIT
trap 'exit 1' INT TERM

skip() {
    echo "skipped: $1"
    exit 0
}

fail() {
    echo "netns: $1 failed" >&2
    tail -n 5 "$scratch"/*.err >&2
    exit 1
}

in_dev() { ip netns exec "$dev" "$@"; }
in_rtr() { ip netns exec "$rtr" "$@"; }
in_gw() { ip netns exec "$gw" "$@"; }

# $1: namespace, $2: its device, $3: IPv4 address, $4: IPv6 address, $5: gateway or -
address() {
    ip netns exec "$1" ip addr add "$3/24" dev "$2"
    ip netns exec "$1" ip addr add "$4/64" dev "$2" nodad
    ip netns exec "$1" ip link set "$2" up
    ip netns exec "$1" ip link set lo up
    [ "$5" = - ] || ip netns exec "$1" ip route add default via "$5"
}

# device 10.1.0.2 - 10.1.0.1 router 10.2.0.1 - 10.2.0.2 gateway; a second way, without the router, for IPv6.
[ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
for name in ip tc iptables conntrack; do
    command -v "$name" >/dev/null 2>&1 || skip "there is no $name"
done
ip netns add "$dev" 2>"$scratch/ns.err" || skip "no network namespaces: $(cat "$scratch/ns.err")"
ip netns add "$rtr"
ip netns add "$gw"
in_dev ip link add d0 type veth peer name r0 netns "$rtr" 2>"$scratch/veth.err" ||
    skip "no veth: $(cat "$scratch/veth.err")"
in_gw ip link add g0 type veth peer name r1 netns "$rtr"
in_dev ip link add d1 type veth peer name g1 netns "$gw"
address "$dev" d0 10.1.0.2 fd00:1::2 10.1.0.1
address "$rtr" r0 10.1.0.1 fd00:1::1 -
address "$rtr" r1 10.2.0.1 fd00:2::1 -
address "$gw" g0 10.2.0.2 fd00:2::2 -
address "$dev" d1 10.3.0.2 fd00:3::2 -
address "$gw" g1 10.3.0.1 fd00:3::1 -
in_rtr sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
in_rtr iptables -t nat -A POSTROUTING -o r1 -p udp -j MASQUERADE --random-fully 2>"$scratch/nat.err" ||
    skip "no masquerading: $(cat "$scratch/nat.err")"
in_dev iptables -I INPUT -p udp -m statistic --mode random --probability 0.1 -j DROP \
    2>"$scratch/statistic.err" || skip "no iptables -m statistic: $(cat "$scratch/statistic.err")"
in_dev iptables -F
in_dev tc qdisc add dev d0 root tbf rate 1mbit burst 4kb latency 100ms 2>"$scratch/tbf.err" ||
    skip "no tbf: $(cat "$scratch/tbf.err")"
in_dev tc qdisc del dev d0 root

cd "$scratch"
"$tool" keygen --out root.key
"$tool" device add --store gw.sqlite --device 0102030405060708 --root-key-file root.key >add.out 2>&1
"$tool" device add --store gw.sqlite --device 0202020202020202 --root-key-file root.key >add.out 2>&1
"$tool" device add --store gw.sqlite --device 0303030303030303 --root-key-file root.key --evolving >add.out 2>&1

# It appends to gateway.out, whichever life it is in.
start_gateway() {
    : >gateway.err
    # Not through in_gw: the number is to be the gateway's own.
    ip netns exec "$gw" "$tool" gateway --store gw.sqlite --bind 0.0.0.0:5700 --bind '[::]:5701' \
        >>gateway.out 2>gateway.err &
    gateway=$!
    turns=0
    until grep -q 'port 5701' gateway.err; do
        turns=$((turns + 1))
        [ "$turns" -lt 1200 ] || fail "the gateway's start"
        sleep 0.05
    done
}

# $1: name, $2: how many lines, $3: pause between them, $4: bytes of each: lines on standard output
lines() {
    awk -v name="$1" -v count="$2" -v size="$4" 'BEGIN {
        for (i = 0; i < count; i++) {
            line = name " " i " "
            while (length(line) < size) line = line "x"
            print line
        }
    }' | if [ "$3" = 0 ]; then cat; else while read -r line; do echo "$line" && sleep "$3"; done; fi
}

# $1: name, $2: lines, $3: pause, $4: bytes, $5: gateway's address. Every line is to be acknowledged and handed on.
transfer() {
    lines "$1" "$2" "$3" "$4" | in_dev timeout 60 "$tool" send --to "$5" --device 0102030405060708 \
        --root-key-file root.key --state dev --outbox dev --receipts >"$1.receipts" 2>"$1.err" || fail "$1"
}

# $1: name, $2: lines, $3: the most sessions. Each line was acknowledged and handed on, once a session.
judge() {
    [ "$(sort -u "$1.receipts" | wc -l)" -eq "$2" ] || fail "$1: receipts"
    sed -nE "s/.*\"session\":([0-9]+),.*\"text\":\"($1 .*)\".*/\\1 \\2/p" gateway.out >"$1.came"
    [ -z "$(sort "$1.came" | uniq -d)" ] || fail "$1: a line came twice in a session:"
    cut -d ' ' -f 2- "$1.came" | sort -u >"$1.texts"
    sort -u "$1.receipts" | cmp -s - "$1.texts" || fail "$1: lines that did not come"
    sessions="$(cut -d ' ' -f 1 "$1.came" | sort -u | wc -l)"
    [ "$sessions" -le "$3" ] || fail "$1: $sessions sessions"
    passed=$((passed + 1))
    echo "$1: $2 lines acknowledged, $(wc -l <"$1.came") handed on, $sessions session(s)"
}

lossy() {
    for ns in "$dev" "$gw"; do
        ip netns exec "$ns" iptables "$1" INPUT -p udp -m statistic --mode random --probability "$2" -j DROP
    done
}

start_gateway

transfer plain 100 0 20 10.2.0.2:5700
judge plain 100 1

lossy -A 0.2
transfer loss 60 0 20 10.2.0.2:5700
judge loss 60 60
lossy -D 0.2

in_dev tc qdisc add dev d0 root tbf rate 256kbit burst 4kb latency 100ms
in_rtr tc qdisc add dev r0 root tbf rate 256kbit burst 4kb latency 100ms
transfer rate 60 0 400 10.2.0.2:5700
judge rate 60 60
in_dev tc qdisc del dev d0 root
in_rtr tc qdisc del dev r0 root

in_dev ip link set d1 mtu 1280
in_gw ip link set g1 mtu 1280
transfer mtu 30 0 1100 '[fd00:3::1]:5701'
judge mtu 30 1

# An answer leaves from the address that was asked: two on one interface, in both families, IPv4 at a socket for both, and
# one that only this link has.
in_gw ip addr add 10.3.0.7/24 dev g1
in_gw ip addr add fd00:3::7/64 dev g1 nodad
until link="$(in_gw ip -6 -o addr show dev g1 scope link -tentative | awk '{ sub("/.*", "", $4); print $4 }')" &&
    [ -n "$link" ]; do sleep 0.1; done
number=0
for target in 10.3.0.1:5700 10.3.0.7:5700 10.3.0.1:5701 10.3.0.7:5701 '[fd00:3::1]:5701' '[fd00:3::7]:5701' \
    "[$link%d1]:5701"; do
    number=$((number + 1))
    transfer "address$number" 3 0 20 "$target"
    judge "address$number" 3 1
done

# A name whose first addresses nobody has, and a gateway that moves under it, for the three clients that there are.
# $1: addresses of gw.test. In place: the namespaces have the file itself.
name() { for address in "$@"; do echo "$address gw.test"; done >"/etc/netns/$dev/hosts"; }

# Sends a reading each half second until it is killed.
start_lean() {
    ip netns exec "$dev" "$tool" sensor --lean --to gw.test:5701 --device 0202020202020202 --root-key-file root.key \
        --interval 500ms --command 'echo lean $(date +%s)' >lean.out 2>lean.err &
    lean=$!
}

# $1: where. Waits until a reading comes that was taken after this.
await_lean() {
    since="$(date +%s)"
    turns=0
    until sed -nE 's/.*"text":"lean ([0-9]+)".*/\1/p' gateway.out | tail -n 1 | awk -v since="$since" \
        '{ found = $1 > since } END { exit !found }'; do
        turns=$((turns + 1))
        [ "$turns" -lt 480 ] || fail "lean: nothing came $1"
        sleep 0.25
    done
}

# A night of the sensor in C that has the reading $1; its credential tells the gateway's name.
night() {
    echo "$1" >"$scratch/sensor/readings"
    (cd "$scratch/sensor" && in_dev timeout 60 "$sensor") >night.out 2>night.err || fail "the sensor in C: $1"
}

came() { grep -q "\"text\":\"$1\"" gateway.out; }

if mkdir -p "/etc/netns/$dev" 2>"$scratch/etc.err"; then
    name fd00:3::77 10.3.0.77 fd00:3::1
    transfer named 3 0 20 gw.test:5701
    judge named 3 1
    start_lean
    await_lean 'at the third address of a name'
    (sleep 1 && in_gw ip addr del fd00:3::1/64 dev g1 && name 10.3.0.7) &
    renamer=$!
    transfer renamed 20 0.1 20 gw.test:5701
    wait $renamer
    judge renamed 20 20
    await_lean 'after the gateway moved'
    kill "$lean"
    wait "$lean" || true
    in_gw ip addr add fd00:3::1/64 dev g1 nodad
    echo 'lean: found at the third address of a name, and after the gateway moved'
    passed=$((passed + 1))

    # A saved session goes on at the third address, by the resolver's order (RFC 6724: IPv6, then what is nearer to
    # 10.3.0.2); a name that is mended while HELLOs go unanswered is looked up anew.
    mkdir sensor
    printf '01%s%s%016x%04x%02x%s' 0303030303030303 "$(cat root.key)" 0 5701 7 67772e74657374 |
        tr a-f A-F | basenc --base16 -d >sensor/credential
    name fd00:3::77 10.3.0.3 10.3.0.1
    night first
    night second
    came first && came second || fail 'the sensor in C: at the third address of a name'
    # Without another handshake, which would have moved the epoch.
    [ "$(od -An -v -tx1 -j41 -N8 sensor/credential | tr -d ' ')" = 0000000000000001 ] ||
        fail 'the sensor in C: a saved session at the third address of a name'
    rm sensor/session
    name 10.3.0.77
    (sleep 3 && name 10.3.0.1) &
    renamer=$!
    night third
    wait $renamer
    came third || fail 'the sensor in C: a gateway that moved'
    echo 'the sensor in C: found at the third address of a name, where its session goes on, and after the gateway moved'
    passed=$((passed + 1))
else
    echo "skipped: names: $(cat "$scratch/etc.err")"
fi

# The router forgets, and gives another port: the session goes on.
(while sleep 0.3; do in_rtr conntrack -F 2>/dev/null; done) &
forgetting=$!
transfer nat 40 0.05 20 10.2.0.2:5700
kill $forgetting
ports="$(in_rtr iptables -t nat -vnxL POSTROUTING | awk '/MASQUERADE/ { print $1 }')"
[ "$ports" -gt 3 ] || fail "nat: $ports translations"
judge nat 40 40

# The device itself moves, on the way without the router.
(sleep 0.8 && in_dev ip addr add 10.3.0.9/24 dev d1 && in_dev ip addr del 10.3.0.2/24 dev d1 &&
    in_dev ip addr add 10.3.0.9/24 dev d1) 2>/dev/null &
transfer moved 40 0.05 20 10.3.0.1:5700
judge moved 40 40
in_dev ip addr show dev d1 | grep -q 10.3.0.9 || fail "moved: the address stayed"

# The gateway is killed while messages are under way.
(sleep 0.8 && kill -9 "$gateway") &
killer=$!
(transfer restart 40 0.05 20 10.2.0.2:5700) &
sender=$!
wait $killer
wait "$gateway" 2>/dev/null || true
start_gateway
wait $sender || fail restart
judge restart 40 40
echo "$passed passed, 0 failed"
