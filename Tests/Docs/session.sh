# One document's commands ($1: a script that Tests/Docs/commands.py has written), and what stands around them. It runs in
# namespaces of its own; $SCRATCH is its directory.
set -eum
place=start
finished=""
declare -A processes expected
trap '[ -n "$finished" ] || echo "failed at $place" >&2' EXIT

at() { place="$1"; }

fail() {
    echo "$place: $1" >&2
    exit 1
}

# An empty directory in the place of $1, for this document alone.
private() {
    mkdir -p "$SCRATCH/private$1"
    mount --bind "$SCRATCH/private$1" "$1"
}

# A process that runs until it is stopped. $1: its name here, $2: what it prints when it is ready, $3: the command,
# further ones: what it has to have printed before it is stopped.
background() {
    local name="$1" ready="$2" command="$3"
    shift 3
    # The shell stays for the command's status; the signal is for the whole group.
    (
        trap : TERM
        eval "$command"
    ) >"$SCRATCH/logs/$name" 2>&1 &
    processes["$name"]=$!
    expected["$name"]="$(printf '%s\n' "$@")"
    [ -z "$ready" ] || wait_for "$name" "$ready"
}

# $1: whose output, $2: a pattern
wait_for() {
    local - turns=0
    set +x
    until grep -aqE -- "$2" "$SCRATCH/logs/$1"; do
        kill -0 "${processes[$1]}" 2>/dev/null || break
        turns=$((turns + 1))
        [ "$turns" -lt 600 ] || break
        sleep 0.1
    done
    grep -aqE -- "$2" "$SCRATCH/logs/$1" || {
        cat "$SCRATCH/logs/$1" >&2
        fail "$1 did not print “$2” within a minute"
    }
}

# $1: its name, $2: the status it has to end with, if that is not 0
stop() {
    local - status=0 pattern
    set +x
    while read -r pattern; do
        [ -z "$pattern" ] || wait_for "$1" "$pattern"
    done <<<"${expected[$1]}"
    kill -TERM -- "-${processes[$1]}" 2>/dev/null || true
    wait "${processes[$1]}" || status=$?
    unset "processes[$1]"
    [ "$status" -eq "${2:-0}" ] || {
        tail -n 5 "$SCRATCH/logs/$1" >&2
        fail "$1 ended with status $status"
    }
}

finish() {
    local name
    for name in "${!processes[@]}"; do stop "$name"; done
    finished=yes
}

mount --make-rprivate /
ip link set lo up
cp -a /etc "$SCRATCH/etc"
mount --bind "$SCRATCH/etc" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
echo "127.0.0.1 localhost $(hostname) gateway.local gateway db" >/etc/hosts
# The command is installed, as far as sudo looks for it.
private /usr/local
mkdir /usr/local/bin
ln -s "$PWD/.build/debug/ouroboros" "$PWD/.build/debug/ouroboros-lean" /usr/local/bin
set -x
# shellcheck source=/dev/null
. "$1"
