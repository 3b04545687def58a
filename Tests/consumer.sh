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

swift build --package-path Tests/Consumer --scratch-path "$place/path"
same "by path" "$("$place/path/debug/Consumer")" "HELLO of 60 bytes"

# What lies here, as a repository that the URL leads to.
rm -rf "$place/repository" "$place/engine" "$place/readme"
mkdir "$place/repository"
git ls-files -co --exclude-standard -z | tar --null -T - -cf - --ignore-failed-read | tar -xf - -C "$place/repository"
git -C "$place/repository" init -q -b main
git -C "$place/repository" add -A
git -C "$place/repository" -c user.name=test -c user.email=test@localhost commit -qm test
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$place/repository.insteadOf" GIT_CONFIG_VALUE_0="$url"

cp -R Tests/Consumer "$place/engine"
OUROBOROS_URL="$url" swift build --package-path "$place/engine" --scratch-path "$place/engine-build"
same "by URL" "$("$place/engine-build/debug/Consumer")" "HELLO of 60 bytes"
same "packages that were fetched" "$(grep -c '"identity"' "$place/engine-build/workspace-state.json")" 1

/usr/bin/python3 Tests/Docs/swift_blocks.py package "$place/readme"
swift build --package-path "$place/readme" --scratch-path "$place/readme-build"
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

# $1: a product, $2: the trait that it lacks
lacks() {
    mkdir -p "$place/lacking/Sources/App"
    echo 'print("compiled")' >"$place/lacking/Sources/App/main.swift"
    cat >"$place/lacking/Package.swift" <<END
// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "app", dependencies: [.package(name: "ouroboros", path: "$PWD", traits: [])],
    targets: [.executableTarget(name: "App", dependencies: [.product(name: "$1", package: "ouroboros")])])
END
    if swift build --package-path "$place/lacking" --scratch-path "$place/lacking-build" >"$place/lacking.log" 2>&1; then
        fail "$1 was built without the trait $2"
    fi
    grep -q "error: .* the package trait $2: .package(..., traits: \[\"$2\"\])" "$place/lacking.log" || {
        tail -n 20 "$place/lacking.log" >&2
        fail "$1: the error does not name the trait $2"
    }
    ! grep -q 'no such module' "$place/lacking.log" || fail "$1: what the trait brings is looked for"
    same "$1 without its trait" "$2 is named" "$2 is named"
}
lacks OuroborosNIO NIO
lacks OuroborosTesting NIO
lacks OuroborosMetrics NIO
lacks OuroborosStore Store
lacks OuroborosPostgres Postgres
lacks ouroboros Tool
echo "$passed passed, 0 failed"
