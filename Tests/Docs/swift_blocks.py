#!/usr/bin/python3
"""The Swift that the documentation prints.

package DIR   writes the README's package to DIR
check         compiles all other blocks, as far as types, against what `swift build` has built; swift_blocks.toml says what
              a document takes for granted, and what it lists has to be there
"""

import pathlib
import re
import subprocess
import sys
import tomllib

import markdown
from markdown import ROOT

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = "README.md"


def package(folder):
    manifest, program = (block.text for block in markdown.blocks(PROGRAM, "swift"))
    (folder / "Sources" / "thermometer").mkdir(parents=True, exist_ok=True)
    (folder / "Package.swift").write_text(manifest)
    (folder / "Sources" / "thermometer" / "main.swift").write_text(program)


def source(block, given):
    """A block is the body of a function, in a scope within that of what its document takes for granted."""
    is_import = re.compile(r"^import .*\n", re.MULTILINE)
    imports = is_import.findall(given) + is_import.findall(block.text)
    return "\n".join([
        "".join(imports), "func value<T>() -> T { fatalError() }", "func block() async throws {",
        is_import.sub("", given), "do {", f'#sourceLocation(file: "{block.document}", line: {block.line + 1})',
        is_import.sub("", block.text), "#sourceLocation()", "}", "}", ""])


def modules():
    """Where the compiler finds what was built, and the headers of C that it imports."""
    built = ROOT / ".build" / "debug"
    flags = ["-I", str(built / "Modules"), "-I", str(ROOT / "ccore" / "include")]
    for found in sorted(built.glob("*.build/module.modulemap")):
        flags += ["-Xcc", f"-fmodule-map-file={found}"]
    for sources in [ROOT / "Sources", *sorted((ROOT / ".build" / "checkouts").glob("*/Sources"))]:
        for headers in sorted([*sources.glob("*/include"), *sources.glob("*/module.modulemap")]):
            flags += ["-Xcc", "-I", "-Xcc", str(headers if headers.is_dir() else headers.parent)]
    return flags


def check():
    listed = tomllib.loads((HERE / "swift_blocks.toml").read_text())
    documents = [name for name in markdown.documents() if name != PROGRAM and markdown.blocks(name, "swift")]
    passed = failed = 0
    for name in sorted(set(listed) - set(documents)):
        print(f"swift_blocks.toml names {name}, which prints no Swift", file=sys.stderr)
        failed += 1
    place = ROOT / ".build" / "doc-swift"
    place.mkdir(parents=True, exist_ok=True)
    for name in documents:
        for block in markdown.blocks(name, "swift"):
            text = place / "block.swift"
            text.write_text(source(block, listed.get(name, "")))
            result = subprocess.run(
                ["swiftc", "-typecheck", "-swift-version", "6", "-parse-as-library", "-suppress-warnings", *modules(),
                 str(text)], cwd=ROOT)
            if result.returncode == 0:
                passed += 1
            else:
                failed += 1
                print(f"{block.place} does not compile", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


match sys.argv[1:]:
    case ["package", folder]:
        package(pathlib.Path(folder))
    case ["check"]:
        sys.exit(check())
    case _:
        sys.exit(__doc__)
