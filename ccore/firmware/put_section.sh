#!/bin/sh
# Puts a section of Markdown into a file in place of the one of that title, or at its end.
# $1: the section, which begins with "## Title"   $2: the file
set -eu
section="$1"
file="$2"
title="$(head -n 1 "$section")"
[ -e "$file" ] || printf '# Benchmarks\n\n' >"$file"
awk -v title="$title" -v section="$section" '
    function put(   line) {
        while ((getline line < section) > 0)
            print line
        done = 1
    }
    /^## / { skipping = $0 == title; if (skipping) { put(); print "" } }
    !skipping { print }
    END { if (!done) { print ""; put() } }
' "$file" | awk 'NF { while (blank-- > 0) print ""; blank = 0; print; next } { blank++ }' >"$file.new"
mv "$file.new" "$file"
