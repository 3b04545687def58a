#!/bin/bash
# Packages that depend on this one, as their authors write them: the engine alone, by path and by URL; the README's, by its
# URL, which runs against a gateway; and those that lack a trait. They compile, so this runs beside no test. It takes
# what `swift build` has built. Run it from the repository's root.
set -euo pipefail
tool="$PWD/.build/debug/ouroboros"
place="$PWD/.build/consumer"
url=https://git.example/ouroboros
mkdir -p "$place"
gateway=""
trap '[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true' EXIT
passed=0

fail() {
    echo "consumer: $1" >&2
    exit 1
}

# $1: what was tried, $2: what came, $3: what had to come
same() {
    [ "$2" = "$3" ] || fail "$1: “$2” instead of “$3”"
    passed=$((passed + 1))
    echo "$1: $2"
}

# From nothing: SwiftPM does not see that a file of a package by path has gone.
rm -rf "$place/path"
swift build --package-path Tests/Consumer --scratch-path "$place/path"
same "by path" "$("$place/path/debug/Consumer")" "HELLO of 60 bytes"

# What lies here, as a repository that the URL leads to.
rm -rf "$place/repository" "$place/engine" "$place/engine-build" "$place/readme"
mkdir "$place/repository"
git ls-files -co --exclude-standard -z | tar --null -T - -cf - --ignore-failed-read | tar -xf - -C "$place/repository"
git -C "$place/repository" init -q -b main
git -C "$place/repository" add -A
git -C "$place/repository" -c user.name=test -c user.email=test@localhost commit -qm test
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$place/repository.insteadOf" GIT_CONFIG_VALUE_0="$url"

# $1: a folder that packages are built in. What it has of this one is what lies here.
newest() {
    same "the revision in $1" "$(git -C "$place/$1/checkouts/ouroboros" rev-parse HEAD)" \
        "$(git -C "$place/repository" rev-parse HEAD)"
}

cp -R Tests/Consumer "$place/engine"
OUROBOROS_URL="$url" swift build --package-path "$place/engine" --scratch-path "$place/engine-build"
same "by URL" "$("$place/engine-build/debug/Consumer")" "HELLO of 60 bytes"
same "packages that were fetched" "$(grep -c '"identity"' "$place/engine-build/workspace-state.json")" 1

newest engine-build

/usr/bin/python3 Tests/Docs/swift_blocks.py package "$place/readme"
# Its folder stays, for what it depends on: without this the branch would be what it was at the last run.
swift package --package-path "$place/readme" --scratch-path "$place/readme-build" update ouroboros
swift build --package-path "$place/readme" --scratch-path "$place/readme-build"
newest readme-build
cd "$place/readme"
"$tool" keygen --out root.key
"$tool" device add --store gw.sqlite --device 0102030405060708 --root-key-file root.key
"$tool" gateway --store gw.sqlite --bind 127.0.0.1:5700 --echo >gateway.out 2>gateway.err &
gateway=$!
for turn in $(seq 100); do
    ! grep -q 'listening on' gateway.err || break
    kill -0 "$gateway" 2>/dev/null && [ "$turn" -lt 100 ] || fail "the gateway: $(cat gateway.err)"
    sleep 0.1
done
same "the README's program" "$(timeout 30 ../readme-build/debug/thermometer <root.key)" 21.5
kill "$gateway"
wait "$gateway"
gateway=""
cd "$OLDPWD"

mkdir -p "$place/lacking/Sources/App"
echo 'print("compiled")' >"$place/lacking/Sources/App/main.swift"

# $1: what lacks a trait, $2: the trait, or those of which one is told first, further ones: where it is built
lacks() {
    local product="$1" trait="$2" log="$place/lacking.log"
    shift 2
    ! swift build --scratch-path "$place/lacking-build" "$@" >"$log" 2>&1 || fail "$product was built without $trait"
    grep -qE "error: .* the package trait ($trait): \.package\(\.\.\., traits: \[\"($trait)\"\]\)" "$log" || {
        tail -n 20 "$log" >&2
        fail "$product: the error does not name the trait $trait"
    }
    ! grep -q 'no such module' "$log" || fail "$product: what the trait $trait brings was looked for"
    passed=$((passed + 1))
    echo "$product without $trait: the error names it"
}
product_lacks() {
    cat >"$place/lacking/Package.swift" <<END
// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "app", dependencies: [.package(name: "ouroboros", path: "$PWD", traits: [])],
    targets: [.executableTarget(name: "App", dependencies: [.product(name: "$1", package: "ouroboros")])])
END
    lacks "$1" "$2" --package-path "$place/lacking"
}
product_lacks OuroborosNIO NIO
product_lacks OuroborosTesting NIO
product_lacks OuroborosMetrics NIO
product_lacks OuroborosStore Store
product_lacks OuroborosPostgres "Postgres|Store"
product_lacks ouroboros "Tool|Gateway|Store|NIO"
lacks OuroborosPage Gateway --disable-default-traits --target OuroborosPage
echo "$passed passed, 0 failed"
