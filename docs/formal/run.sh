#!/bin/sh
# Runs every formal model and compares each result with what is expected; ends with `N passed, N failed`.
# $1: a directory for what is built and logged. `run.sh DIR record` also writes RESULTS.md, and needs ProVerif.
set -u
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
out="$(cd "$1" && pwd)"
record="${2:-}"
results="$here/RESULTS.md"
passed=0
failed=0
work=""
trap 'rm -rf "$work"' EXIT
work="$(mktemp -d)"

# $1: true or false, $2: the line
tell() {
    if [ "$1" = true ]; then
        passed=$((passed + 1))
        echo "ok      $2"
    else
        failed=$((failed + 1))
        echo "FAILED  $2"
    fi
}

# $1: holds, or the text of the assertion that must fail, $2: what is checked, $3: model, further: options of spin.
# What must fail is searched breadth-first, so that its trail is the shortest; what must hold depth-first, in less memory.
spin_run() {
    expected="$1"
    what="$2"
    model="$3"
    shift 3
    log="$out/spin-$(echo "$model$*" | tr -c 'A-Za-z0-9=\n' '_').log"
    search="-DBFS -DNOREDUCE"
    [ "$expected" != holds ] || search=-DCOLLAPSE
    rm -rf "$work/spin"
    mkdir "$work/spin"
    # shellcheck disable=SC2086
    (cd "$work/spin" && spin -a "$@" "$here/$model" && gcc -O2 -w -DSAFETY -DMEMLIM=3000 $search -o pan pan.c &&
        ./pan -w22 -m3000000) >"$log" 2>&1
    states="$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$log" | head -n 1)"
    violated="$(sed -n 's/^pan:1: //p' "$log" | head -n 1)"
    if [ -z "$states" ] || [ -z "$violated" ] && grep -q 'Search not completed\|max search depth' "$log"; then
        tell false "$model $*: $what: the search did not end, see $log"
    elif [ "$expected" = holds ]; then
        if grep -q 'errors: 0$' "$log"; then
            tell true "$model $*: $what ($states states)"
        else
            tell false "$model $*: $what: $violated, see $log"
        fi
    elif [ -n "$violated" ] && [ -z "${violated##*"$expected"*}" ]; then
        (cd "$work/spin" && spin -t -p -g "$@" "$here/$model") >>"$log" 2>&1
        tell true "$model $*: broken, as expected: $what"
    else
        tell false "$model $*: not found broken as it must be (${violated:-holds}): $what"
    fi
}

epochs() {
    e=epochs.pml
    spin_run holds "never ahead, never shut out" $e -DTRIES=4 -DBETWEEN=1
    spin_run holds "never ahead, at most one behind, never shut out" $e -DTRIES=4 -DBETWEEN=1 -DNO_BACKUP
    spin_run holds "the same, with more arriving in between" $e -DTRIES=3 -DBETWEEN=3
    # Mutations.
    ahead='assertion violated (server_epoch<=client_epoch)'
    shut_out='assertion violated (tries<2)'
    spin_run "$ahead" "the server moves before the session is confirmed" $e -DTRIES=3 -DEARLY_SERVER
    spin_run "$ahead" "the client moves after its first packet" $e -DTRIES=3 -DLATE_CLIENT
    spin_run "$shut_out" "the server does not jump ahead" $e -DTRIES=3 -DAHEAD=0 -DNO_BACKUP
    spin_run "$ahead" "the server moves for a HELLO before its tag is verified" $e -DTRIES=3 -DFORGED
    # Not promised (section 8).
    spin_run "$shut_out" "a registry set back further than the server jumps" $e -DTRIES=3 -DAHEAD=1
    spin_run "$ahead" "a device's storage set back" $e -DTRIES=3 -DOLD_CLIENT
    spin_run "$ahead" "a thief of the epoch key pushes the server ahead" $e -DTRIES=3 -DTHIEF
}

reach() {
    r=reach.pml
    for n in 4 5 6 7; do
        spin_run holds "never waits for nothing, always in the window" $r -DR=$n
    done
    spin_run holds "the same before the server was heard from" $r -DR=4 -DCLIENT
    spin_run holds "the same where that limit is below half the reach" $r -DR=6 -DCLIENT -DUNCONFIRMED=2
    spin_run holds "the same where the path does not carry some messages" $r -DR=4 -DLARGE
    spin_run holds "the same with an odd reach, nothing taken wrongly for such a message" $r -DR=5 -DLARGE -DRIGHTLY
    spin_run holds "the same before the server was heard from" $r -DR=4 -DLARGE -DCLIENT
    # Mutations.
    waits='assertion violated (((('
    spin_run 'assertion violated (low<=((highest+4)-1))' "without n < base + R" $r -DR=4 -DNO_BASE_RULE
    spin_run 'assertion violated (highest<=4)' "without n <= acked + R" $r -DR=4 -DNO_ACKED_RULE
    spin_run "$waits" "without the reliable messages at R/2 and with the last counter" $r -DR=4 -DNO_HALF_RULE -DNO_LAST_RULE
    spin_run "$waits" "a client that keeps no PING out" $r -DR=6 -DCLIENT -DUNCONFIRMED=2 -DNO_PING
    spin_run "$waits" "a stuck message stays base" $r -DR=4 -DLARGE -DRIGHTLY -DNO_STALLED
    spin_run "$waits" "what is stuck after a higher one was acknowledged stays base" $r -DR=4 -DLARGE -DRIGHTLY -DONLY_LATER
    spin_run "$waits" "without the reliable message with the last counter" $r -DR=4 -DLARGE -DRIGHTLY -DNO_LAST_RULE
    spin_run 'assertion violated ((stalled>>(acked+4))==0)' "a stalled message does not end" $r -DR=4 -DLARGE -DRIGHTLY -DNO_END
}

stream() {
    s=stream.pml
    spin_run holds "what is told delivered was handed on, all is told, a dead path is noticed" $s
    # Mutations.
    spin_run 'assertion violated ((delivered& ~(handed_on))==0)' "a receiver names its highest though one is missing" $s -DEAGER
    spin_run 'assertion violated  !((delivered!=' "a block names the last few counters alone" $s -DNOT_CUMULATIVE
    spin_run 'assertion violated 0' "a packet that came after the PING speaks for the path for ever" $s -DSINCE_PING
    spin_run 'assertion violated gone' "who does not read is silent" $s -DMUTE
}

# What is written beside the queries of a model, in order.
expected_of() {
    sed -n 's/.*expect: \([a-z ]*\).*/\1/p' "$here/$1" | tr -s ' \n' ' ' | sed 's/ *$//'
}

hash_of() {
    cat "$here/ouroboros.pvl" "$here/$1" | sha256sum | cut -d ' ' -f 1
}

# What ProVerif says, in the same order; "unproved" where it can tell neither.
proverif_run() {
    (cd "$here" && proverif -lib ouroboros.pvl "$1") >"$out/$1.log" 2>&1
    sed -n '/^Verification summary/,$p' "$out/$1.log" | sed -n 's/^Query .* is \(true\|false\)\.$/\1/p
s/^Query .* cannot be proved\.$/unproved/p' | tr '\n' ' ' | sed 's/ *$//'
}

proverif_all() {
    version="$(proverif -help 2>&1 | sed -n 's/^Proverif \([0-9.]*[0-9]\).*/\1/p' | head -n 1)"
    [ "$record" = record ] && {
        cat <<END
# What ProVerif said

Written by \`docs/formal/run.sh DIR record\`. \`make formal\` compares the hashes (SHA-256 of \`ouroboros.pvl\` followed by the
model) and the results, in the order of the model's queries, with the models and with what is expected there.

ProVerif $version

| model | SHA-256 | results |
|---|---|---|
END
    } >"$work/results"
    for path in "$here"/*.pv; do
        model="$(basename "$path")"
        expected="$(expected_of "$model")"
        said="$(proverif_run "$model")"
        if [ -n "$said" ] && [ "$said" = "$expected" ]; then
            tell true "$model: $said"
        else
            tell false "$model: expected $expected, but ProVerif says ${said:-nothing}: see $out/$model.log"
        fi
        echo "| $model | $(hash_of "$model") | $said |" >>"$work/results"
        [ "$record" = record ] || recorded "$model"
    done
    [ "$record" != record ] || cp "$work/results" "$results"
}

recorded() {
    if grep -qxF "| $1 | $(hash_of "$1") | $(expected_of "$1") |" "$results"; then
        tell true "$1: model and results are those recorded"
    else
        tell false "$1: model or expected results differ from RESULTS.md: run ProVerif and record"
    fi
}

epochs
reach
stream
if command -v proverif >/dev/null 2>&1; then
    proverif_all
elif [ "$record" = record ]; then
    echo "there is no proverif to record the results of" >&2
    exit 1
else
    echo "proverif is not installed: the models are compared with what it said last"
    for path in "$here"/*.pv; do
        recorded "$(basename "$path")"
    done
fi
# No record without its model.
for model in $(sed -n 's/^| \([a-z-]*\.pv\) .*/\1/p' "$results"); do
    [ -f "$here/$model" ] || tell false "$model is in RESULTS.md, but there is no such model"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
