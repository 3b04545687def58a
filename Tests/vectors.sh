#!/bin/sh
# What `ouroboros vectors` prints passes the engine's own vector tests in C. Both were built before.
set -eu
out=build/vectors.json
for seed in 0 1 42 18446744073709551615; do
    .build/debug/ouroboros vectors --seed "$seed" >"$out"
    OURO_VECTORS="$out" build/plain/core_tests vectors | grep -q '^6 passed, 0 failed$' || {
        echo "the vectors of seed $seed do not pass" >&2
        exit 1
    }
done
# A damaged file has to fail, or nothing was tested.
sed 's/"flags": 15/"flags": 7/' "$out" >"$out.bad"
if OURO_VECTORS="$out.bad" build/plain/core_tests vectors >/dev/null; then
    echo "damaged vectors pass" >&2
    exit 1
fi
