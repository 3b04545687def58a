#!/bin/bash
# Each mutant of the list is one line of the engine changed; the quick core tests have to fail on it.
# $1: a scratch directory   $2: linker options of the core tests   $3: the list (default: all of Tests/Mutants/mutants.txt)
# A line of the list: `killed` or `alive`, the suites that are run (`all` but the figures, or some with commas between), a file of
# ccore/src, a sed command that changes exactly one line. An `alive` one is equivalent to the original, or says why it is not
# worth a test, in a comment above it.
set -euo pipefail
scratch="$1"
link="$2"
list="${3:-Tests/Mutants/mutants.txt}"
export scratch link
export OURO_RUNS=15 OURO_STOP=1
# All but the figures, which take longer than the rest together.
suites=$(grep -o '{"[a-z]*"' Tests/CoreTests/main.c | tr -d '{"' | grep -v '^figures$' | tr '\n' ' ')
export suites
flags="-std=c99 -O1 -w -Iinclude -Iccore/src"
export flags

rm -rf "$scratch"
mkdir -p "$scratch/core" "$scratch/tests" "$scratch/runs"
compile() { cc $flags -c "$1" -o "$2"; }
export -f compile
ls ccore/src/*.c | xargs -P2 -I{} bash -c 'compile {} $scratch/core/$(basename {} .c).o'
ls Tests/CoreTests/*.c | xargs -P2 -I{} bash -c 'compile {} $scratch/tests/$(basename {} .c).o'
cc "$scratch"/core/*.o "$scratch"/tests/*.o $link -o "$scratch/whole"
"$scratch/whole" $suites >"$scratch/whole.log" || { tail -5 "$scratch/whole.log" >&2; echo "the tests fail without a mutant" >&2; exit 1; }

# $1: number, expectation, file and command in one line. Prints what became of it.
judge() {
    read -r number expected chosen file command <<<"$1"
    [ "$chosen" = all ] && chosen="$suites" || chosen="${chosen//,/ }"
    own="$scratch/runs/$number"
    mkdir -p "$own"
    sed "$command" "ccore/src/$file" >"$own/$file"
    if [ "$(diff "ccore/src/$file" "$own/$file" | grep -c '^[0-9]')" != 1 ]; then
        echo "$number stale - - $file $command"
        return
    fi
    object="$scratch/core/${file%.c}.o"
    verdict=killed
    if ! cc $flags -c "$own/$file" -o "$own/mutant.o" 2>"$own/log"; then
        verdict=stale
    else
        cc "$own/mutant.o" $(ls "$scratch"/core/*.o | grep -vx "$object") "$scratch"/tests/*.o $link -o "$own/tests"
        # Seconds of the processor: what runs beside it does not matter.
        if (ulimit -t 40 && "$own/tests" $chosen) >"$own/log" 2>&1; then verdict=alive; fi
    fi
    by=$(sed -n 's/^stopped at: //p' "$own/log")
    rm -f "$own/tests" "$own/mutant.o"
    [ "$verdict" = "$expected" ] && verdict="$verdict as-said" || verdict="$verdict NOT-$expected"
    echo "$number $verdict ${by:--} $file $command"
}
export -f judge

grep -vE '^(#|$)' "$list" | awk '{ print NR, $0 }' | tr '\n' '\0' | xargs -0 -P2 -I{} bash -c 'judge "$1" 2>/dev/null' _ {} |
    tee "$scratch/verdicts" | grep -v 'as-said' || true
killed=$(grep -c ' killed ' "$scratch/verdicts" || true)
alive=$(grep -c ' alive ' "$scratch/verdicts" || true)
echo "$killed mutants killed, $alive alive"
! grep -qE 'stale|NOT-killed' "$scratch/verdicts"
