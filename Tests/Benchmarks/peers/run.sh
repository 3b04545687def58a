#!/bin/sh
# Runs each peer in turn, ROUNDS times, and prints the lines of bench.c with the round before them.
# $1: directory of the peers   $2: rounds   $3: round trips of a run (and as many one way)
# $4: sessions of a run   then: names of the peers
set -eu
dir="$1" rounds="$2" messages="$3" sessions="$4"
shift 4
round=1
while [ "$round" -le "$rounds" ]; do
    for size in 64 1024; do
        for peer in "$@"; do
            echo "   round $round of $rounds: $peer, $size bytes" >&2
            line="$("$dir/$peer" "$peer" "$size" "$messages" "$messages" "$sessions")"
            printf '%s\t%s\n' "$round" "$line"
        done
    done
    round=$((round + 1))
done
