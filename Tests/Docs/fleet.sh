# What docs/FLEET.md takes for granted: a PostgreSQL on `db`, two gateways, and this machine as the balancer between them and
# devices. Sourced by FLEET.md's session.

# $1: namespace, $2: its address, $3: this side's address, which is its way to all others. A link without a bridge: routes say who is where.
machine() {
    ip netns add "$1"
    ip link add "$1" type veth peer name eth0 netns "$1"
    ip addr add "$3/32" dev "$1"
    ip link set "$1" up
    ip route add "$2/32" dev "$1"
    ip netns exec "$1" ip link set lo up
    ip netns exec "$1" ip addr add "$2/32" dev eth0
    ip netns exec "$1" ip link set eth0 up
    ip netns exec "$1" ip route add default via "$3" dev eth0 onlink
}

mkdir -p /run/postgresql
private /var/lib
install -d -o postgres /run/postgresql /var/lib/postgresql
postgres="$(pg_config --bindir)"
machine gateway1 10.0.0.1 10.0.0.10
machine gateway2 10.0.0.2 10.0.0.10
machine device 192.0.2.50 192.0.2.1
sed -i 's/ db$//' /etc/hosts
echo '10.0.0.10 db' >>/etc/hosts
(
    cd /
    as_postgres() { sudo -u postgres "$@"; }
    as_postgres "$postgres/initdb" -D /var/lib/postgresql/data --auth-local=peer --auth-host=scram-sha-256 -N
    echo 'host fleet gateway 10.0.0.0/24 scram-sha-256' | as_postgres tee -a /var/lib/postgresql/data/pg_hba.conf
    as_postgres "$postgres/pg_ctl" -D /var/lib/postgresql/data -w -l /var/lib/postgresql/log \
        -o "-c listen_addresses=* -c fsync=off -c unix_socket_directories=/run/postgresql" start
)

# How many packets the gateways had to pass on to each other
passed_on() {
    local sum=0 gateway count
    for gateway in gateway1 gateway2; do
        count="$(ip netns exec "$gateway" curl -s http://127.0.0.1:9700/metrics |
            sed -n 's/^ouroboros_forwards_sent_total \([0-9]*\).*/\1/p')"
        sum=$((sum + count))
    done
    echo "$sum"
}

# A device that has a new port every 200 ms, as seen from the balancer. $1: what it says
roam() {
    local lines="$SCRATCH/logs/$1"
    background impair 'listening on' "ip netns exec device ouroboros impair --listen 127.0.0.1:5900 \
        --to 192.0.2.1:5700 --rebind 200ms"
    for turn in $(seq 30); do echo "$1 $turn" && sleep 0.1; done |
        ip netns exec device ouroboros send --to 127.0.0.1:5900 --device 0102030405060708 --root-key-file root.key \
            --evolving --state device.sqlite --receipts >"$lines"
    stop impair
    [ "$(wc -l <"$lines")" -eq 30 ] || fail "$1: not all was delivered"
}

# By the rules of the document no packet lands on the wrong gateway, whatever port it comes from. Without the two that look
# at the packet, some do: the gateways pass them on.
try_balancer() {
    roam ruled
    [ "$(passed_on)" -eq 0 ] || fail "packets landed on the wrong gateway: $(passed_on)"
    sed '/@th/d' balancer.nft | nft -f -
    roam unruled
    [ "$(passed_on)" -gt 0 ] || fail "without its rules the balancer is as good: they were not tried"
    nft -f balancer.nft
}
