#!/bin/sh
# Fails when an object of the engine calls one of its own layer or of one above it, or has no layer.
# $1: the order, ground first (ccore/layers.txt)   $2: a C compiler, for the proof   the rest: the objects
set -eu
order="$1"
compiler="$2"
shift 2

# $1: order   the rest: objects. nm says "object: symbol type ...", with type U where another has it.
check() {
    layers="$1"
    shift
    { printf '%s:\n' "$@" && nm -A -P -g "$@"; } | awk '
        FNR == NR {
            if ($0 ~ /^#/) next
            for (i = 1; i <= NF; i++) layer[$i] = FNR
            next
        }
        {
            object = $1
            sub(/.*\//, "", object)
            sub(/\.o:.*/, "", object)
            objects[object]
            if (NF > 1 && $3 == "U") uses[object, $2]
            else if (NF > 1) home[$2] = object
        }
        END {
            for (name in layer)
                if (!(name in objects)) bad = bad name " has a layer and no object\n"
            for (name in objects) {
                count++
                if (!(name in layer)) bad = bad name " has no layer: give it one in the order\n"
            }
            for (pair in uses) {
                split(pair, use, SUBSEP)
                from = use[1]
                to = home[use[2]]
                if (!(from in layer) || !(to in layer)) continue
                calls++
                if (layer[to] >= layer[from]) bad = bad from " calls up: " use[2] " of " to "\n"
            }
            if (calls == 0) bad = bad "no calls between objects: is this the engine?\n"
            printf "%s", bad
            if (bad != "") exit 1
            print count " objects, " calls " calls from one to another, none up"
        }' "$layers" -
}

# $1: why   $2: order   the rest: objects. They must be refused, and for that alone.
must_refuse() {
    why="$1"
    shift
    if said="$(check "$@")" || [ "$said" != "$why" ]; then
        echo "the check should say \"$why\", and says: $said" >&2
        exit 1
    fi
}

check "$order" "$@" || {
    echo "a call goes down only: see $order" >&2
    exit 1
}

# The proof that it can fail: an object that calls the top, without a layer, at the ground, and above all.
proof="$(mktemp -d)"
trap 'rm -rf "$proof"' EXIT
echo 'void ouro_link_erase(void); void up(void); void up(void) { ouro_link_erase(); }' |
    "$compiler" -x c -c - -o "$proof/up.o"
{ echo up && cat "$order"; } >"$proof/ground"
{ cat "$order" && echo up; } >"$proof/top"
must_refuse 'up has no layer: give it one in the order' "$order" "$@" "$proof/up.o"
must_refuse 'up calls up: ouro_link_erase of link' "$proof/ground" "$@" "$proof/up.o"
must_refuse 'up has a layer and no object' "$proof/top" "$@"
check "$proof/top" "$@" "$proof/up.o" >"$proof/said"
