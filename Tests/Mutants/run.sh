#!/bin/bash
# Each mutant of the list is one line of the engine changed; the quick core tests have to fail on it.
# $1: a scratch directory   $2: linker options of the core tests   $3: the list (default: all of Tests/Mutants/mutants.txt)
# A line of the list: `killed`, `alive` or `same`, the suites that are run (`all` but the figures, or some with commas between), a
# file of ccore/src, a sed command that changes exactly one line. Of a `same` one a comment above it says why it does what the
# original does, of an `alive` one why it is not worth a test.
set -euo pipefail
scratch="$1"
link="$2"
list="${3:-Tests/Mutants/mutants.txt}"
least=95 # percent of those that are not the same as the original
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
# Linked once: what is wrapped is in the engine, and stays undefined here.
ld -r "$scratch"/tests/*.o -o "$scratch/tests.o"
cc "$scratch"/core/*.o "$scratch/tests.o" $link -o "$scratch/whole"
"$scratch/whole" $suites >"$scratch/whole.log" || { tail -5 "$scratch/whole.log" >&2; echo "the tests fail without a mutant" >&2; exit 1; }

# $1: number, expectation, suites, file and command in one line. Prints what became of it.
judge() {
    read -r number expected chosen file command <<<"$1"
    [ "$chosen" = all ] && chosen="$suites" || chosen="${chosen//,/ }"
    own="$scratch/runs/$number"
    mkdir -p "$own"
    sed "$command" "ccore/src/$file" >"$own/$file"
    object="$scratch/core/${file%.c}.o"
    verdict=stale
    if [ "$(diff "ccore/src/$file" "$own/$file" | grep -c '^[0-9]')" = 1 ] &&
        cc $flags -c "$own/$file" -o "$own/mutant.o" 2>"$own/log" &&
        cc "$own/mutant.o" $(ls "$scratch"/core/*.o | grep -vx "$object") "$scratch/tests.o" $link -o "$own/tests" 2>"$own/log"; then
        status=0
        # Seconds of the processor: what runs beside it does not matter.
        (ulimit -t 30 && exec "$own/tests" $chosen) >"$own/log" 2>&1 || status=$?
        # A test that failed, or a crash or a hang; else the suites are not there.
        if [ $status = 0 ]; then
            verdict=alive
        elif [ $status -gt 128 ] || grep -q '^stopped at: ' "$own/log"; then
            verdict=killed
        fi
    fi
    by=$(sed -n 's/^stopped at: //p' "$own/log")
    rm -f "$own/tests" "$own/mutant.o"
    wanted="${expected/same/alive}"
    [ "$verdict" = "$wanted" ] && said=as-said || said="NOT-$wanted"
    echo "$number $verdict $said $expected ${by:--} $file $command"
}
export -f judge

grep -vE '^(#|$)' "$list" | awk '{ print NR, $0 }' | tr '\n' '\0' | xargs -0 -P2 -I{} bash -c 'judge "$1" 2>/dev/null' _ {} |
    tee "$scratch/verdicts" | grep -v ' as-said ' || true
killed=$(grep -c '^[0-9]* killed ' "$scratch/verdicts" || true)
same=$(grep -c '^[0-9]* alive [^ ]* same ' "$scratch/verdicts" || true)
real=$(($(wc -l <"$scratch/verdicts") - same))
percent=$((100 * killed / (real > 0 ? real : 1)))
echo "$killed of $real mutants killed ($percent %), $same do what the original does"
! grep -qE '^[0-9]* stale |NOT-killed' "$scratch/verdicts" && [ $percent -ge $least ]
