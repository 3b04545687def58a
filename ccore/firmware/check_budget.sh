#!/bin/sh
# Fails when a number of $1 (lines of "build what number") has grown past its line in $2.
set -eu
awk '
    FNR == NR { got[$1, $2] = $3; next }
    /^#/ || NF == 0 { next }
    !(($1, $2) in got) { print "not measured: " $1 " " $2; failed++; next }
    got[$1, $2] > $3 { print $1 " " $2 " is " got[$1, $2] ", above its budget of " $3; failed++; next }
    { passed++ }
    END { print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 || passed == 0 }
' "$1" "$2"
