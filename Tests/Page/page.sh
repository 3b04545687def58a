#!/bin/sh
# Looks at the page of a gateway in headless Chromium, while devices send to it.
# $1: the folder of the built command. Screenshots go to build/page.
set -eu
command="$(cd "$1" && pwd)/ouroboros"
here="$(cd "$(dirname "$0")" && pwd)"
shots="$PWD/build/page"
mkdir -p "$shots"
work="$(mktemp -d)"
gateway=""
fleet=""
finish() {
    for process in $fleet $gateway; do kill "$process" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

"$command" keygen --out fleet.key 2>keygen.log
number=1
for name in "Attic" "Boiler room" "Cellar" "Greenhouse" "Kitchen" "Pump house, second pump from the left, inlet" \
    '~<img src=x onerror="document.title=1">' '~"><script>document.title=1</script>'; do
    device="000000000000010$number"
    "$command" keygen --fleet-key-file fleet.key --device "$device" --out "$device.key"
    "$command" device add --store gateway.sqlite --device "$device" --root-key-file "$device.key" --name "$name"
    number=$((number + 1))
done >add.log 2>&1

# --echo, so that there are round trips to show.
"$command" gateway --bind 127.0.0.1:0 --store gateway.sqlite --fleet-key-file fleet.key --echo \
    --metrics 127.0.0.1:0 --page-payloads >messages.log 2>gateway.log &
gateway=$!
port() {
    for _ in $(seq 600); do
        found="$(sed -n "s/.*$1.* port \([0-9]*\).*/\1/p" gateway.log | head -n 1)"
        [ -z "$found" ] || break
        sleep 0.1
    done
    echo "$found"
}
udp="$(port 'listening on')"
http="$(port 'metrics on')"
[ -n "$udp" ] && [ -n "$http" ] || { cat gateway.log >&2; exit 1; }

"$command" fleet --to "127.0.0.1:$udp" --fleet-key-file fleet.key --devices 75 --rate 25 --seconds 600 \
    --device 0000000000000102 >fleet.log 2>&1 &
fleet=$!
# All but the first device are in the fleet. What that one sends is what the browser waits for.
cat >send.sh <<EOF
#!/bin/sh
exec "$command" send --to 127.0.0.1:$udp --device 0000000000000101 --root-key-file "$work/0000000000000101.key" --message "\$1"
EOF
chmod +x send.sh
/usr/bin/python3 "$here/browse.py" "http://127.0.0.1:$http" "$work/send.sh" "$shots"

# Another site whose name leads here gets nothing.
for path in / /events /devices/0000000000000101; do
    status="$(curl -s -o answer.log -w '%{http_code}' -H 'Host: site.example' "http://127.0.0.1:$http$path")"
    [ "$status" = 421 ] || { echo "$path for another site's name: $status" >&2; exit 1; }
done

# With a listener that stays, the gateway ends all the same.
curl -sN "http://127.0.0.1:$http/events" >events.log &
for _ in $(seq 600); do
    ! grep -q '^event: rows' events.log || break
    sleep 0.1
done
grep -q '^event: rows' events.log || { echo "/events told nothing within a minute" >&2; exit 1; }
kill -TERM "$gateway"
wait "$gateway"
gateway=""
echo "the gateway ended while the page was open"
