#!/bin/sh
# How many messages a second one device brings to a gateway whose PostgreSQL is some milliseconds away. A line a run, tabs
# between: round trip in milliseconds, with or without an outbox, messages a second.
# $1: directory of the Swift build   $2: messages   $3: round trips in milliseconds
set -eu
here="$(realpath "$(dirname "$0")")"
bin="$(realpath "$1")" count="$2" round_trips="$3"
programs="$(pg_config --bindir)"
scratch="$(mktemp -d /tmp/ouro-registry-XXXXXX)"
gateway="" way=""
# It refuses to run as root.
database() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
end() {
    kill $gateway $way 2>/dev/null || true
    database "$programs/pg_ctl" -D "$scratch/pg/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap end EXIT INT TERM
mkdir "$scratch/pg" "$scratch/front"
chmod 755 "$scratch"
if [ "$(id -u)" = 0 ]; then chown postgres "$scratch/pg"; fi
database "$programs/initdb" -D "$scratch/pg/data" -A trust -U gateway >/dev/null
database "$programs/pg_ctl" -D "$scratch/pg/data" -w -l "$scratch/pg/log" \
    -o "-k $scratch/pg -c listen_addresses=" start >/dev/null
cd "$scratch"
"$bin/ouroboros" keygen --out kek >/dev/null
"$bin/ouroboros" keygen --out root.key >/dev/null
url="postgres://gateway@/postgres?host=$scratch"
device=0102030405060708
"$bin/ouroboros" device add --registry "$url/pg" --kek-file kek --device $device --root-key-file root.key >/dev/null
seq "$count" >messages

# $1: a command that succeeds in a while
wait_for() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat log >&2; exit 1; }
        sleep 0.1
    done
}

for round_trip in $round_trips; do
    rm -f front/.s.PGSQL.5432 log
    python3 "$here/delay.py" front/.s.PGSQL.5432 pg/.s.PGSQL.5432 \
        "$(awk "BEGIN { print $round_trip / 2 }")" &
    way=$!
    wait_for test -S front/.s.PGSQL.5432
    "$bin/ouroboros" gateway --registry "$url/front" --kek-file kek --gateway-number 1 --bind 127.0.0.1:0 \
        >/dev/null 2>log &
    gateway=$!
    wait_for grep -q 'listening on' log
    port="$(sed -n 's/.*listening on .* port \([0-9]*\)$/\1/p' log)"
    for outbox in "" "--outbox box"; do
        rm -f box*
        begin="$(date +%s%N)"
        "$bin/ouroboros" send $outbox --to "127.0.0.1:$port" --device $device --root-key-file root.key \
            --timeout 60s <messages >/dev/null 2>&1
        awk "BEGIN { printf \"%s\t%s\t%d\n\", $round_trip, \"$outbox\" == \"\" ? \"none\" : \"outbox\",
            $count / (($(date +%s%N) - $begin) / 1e9) }"
    done
    kill $gateway $way
    wait $gateway $way 2>/dev/null || true
done
