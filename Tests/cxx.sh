#!/bin/sh
# C++ can include each header alone, under each standard from C++11 on, and link every function that one declares.
# $1: a C++ compiler   $2: libouroboros.a
set -eu
compiler="$1"
library="$2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for header in include/ouroboros/*.h ccore/examples/*.h; do
    for standard in 11 14 17 20; do
        printf '#include "%s"\n' "$PWD/$header" |
            "$compiler" -std=c++$standard -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude -fsyntax-only -x c++ -
    done
done

functions=$(grep -oh '\bouro_[a-z_0-9]*(' include/ouroboros/*.h | tr -d '(' | sort -u)
{
    echo '#include "ouroboros/ouroboros.h"'
    echo 'typedef void (*function)();'
    echo 'static const function functions[] = {'
    for name in $functions; do echo "    reinterpret_cast<function>($name),"; done
    echo '};'
    echo 'int main() { return functions[0] == 0; }'
} >"$work/all.cpp"
"$compiler" -std=c++11 -Wall -Wextra -Werror -Iinclude "$work/all.cpp" "$library" -lmbedcrypto -o "$work/all"
"$work/all"
echo "$(echo "$functions" | wc -l) functions linked from C++"
