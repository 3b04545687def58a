#!/bin/bash
# The documentation of the Swift modules as one web site, from what `swift build` left in .build/debug. Fails on a warning.
# $1: where it goes, the rest: the modules. Not SwiftPM's plug-in: it builds every module anew, and with it the next build does.
set -euo pipefail
site="$1"
shift
work="$site.work"
rm -rf "$site" "$work"
mkdir -p "$work"

# The C modules that these import.
search=(-I .build/debug/Modules -I include)
while read -r map; do search+=(-I "${map%/*}"); done < <(
    find Sources .build/checkouts/*/Sources -name module.modulemap)
while read -r map; do search+=(-Xcc "-fmodule-map-file=$map"); done < <(
    find .build/debug/ -maxdepth 2 -name module.modulemap)
target="$(swiftc -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)",/\1/p' | head -n 1)"

archives=()
for module; do
    mkdir "$work/$module"
    swift-symbolgraph-extract -module-name "$module" -target "$target" "${search[@]}" -output-dir "$work/$module" \
        -minimum-access-level public -skip-synthesized-members
    catalog="Sources/$module/$module.docc"
    archive="$work/$module.doccarchive"
    others=()
    for other in "${archives[@]}"; do others+=(--dependency "$other"); done
    docc convert $([ ! -d "$catalog" ] || echo "$catalog") --additional-symbol-graph-dir "$work/$module" \
        --fallback-display-name "$module" --fallback-bundle-identifier "$module" --warnings-as-errors \
        --enable-experimental-external-link-support "${others[@]}" --output-path "$archive"
    archives+=("$archive")
    echo "$module: $(find "$archive/data" -name '*.json' | wc -l) pages"
done
docc merge "${archives[@]}" --synthesized-landing-page-name Ouroboros --output-path "$site"
rm -r "$work"
