#!/usr/bin/python3
"""Runs the commands that the documentation prints, as printed: all `sh` blocks of a document in their order, in a
directory of its own, and in namespaces of its own (network, mounts, processes), so that nothing of the machine changes.

commands.toml says what stands around a command that runs until it is stopped, and which ones cannot run and why. What
it lists has to be there; what it does not list has to run and to end with status 0.
Takes root, and what `swift build` and `make test-core` have built. Arguments: documents; all, if there are none.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import markdown
from markdown import ROOT

HERE = pathlib.Path(__file__).resolve().parent
PLACE = ROOT / ".build" / "doc-commands"
LIMIT_SECONDS = 600
ACTIONS = {"cannot", "plan", "background", "run"}


def commands(text):
    """The lines of a block, those that end with a backslash with what they go on with."""
    return re.sub(r"\\\n\s*", "", text).splitlines()


def bare(command):
    """A command as the list names it: without its remark."""
    return re.sub(r"\s+", " ", re.sub(r"(^|\s+)# .*", "", command)).strip()


def wrapped(command, mark):
    """What bash runs for a command that is in the list."""
    action, = ACTIONS & mark.keys() or {"run"}
    lines = [mark.get("before", "")]
    if "inside" in mark:
        command = f"ip netns exec {mark['inside']} bash -euc {shlex.quote(bare(command))}"
    if action == "background":
        ready, name = mark.get("ready", ""), mark["background"]
        lines.append(" ".join(["background", name, shlex.quote(ready), shlex.quote(bare(command))]
                              + [shlex.quote(text) for text in mark.get("prints", [])]))
    elif action == "plan":
        lines.append(f"MAKEFLAGS=n {command}")
    elif "input" in mark:
        lines.append(f"{{ {command}\n}} <<<{shlex.quote(mark['input'])}")
    elif action == "run":
        lines.append(command)
    lines.append(mark.get("after", ""))
    return "\n".join(line for line in lines if line)


def script(document, listed):
    """The bash program of a document; the commands of the list that it does not print; how many run and do not."""
    marks = {mark["line"]: mark for mark in listed.get("mark", [])}
    missing, lines, counts = set(marks), [listed.get("needs", "")], {"run": 0, "not": 0}
    for block in markdown.blocks(document, "sh"):
        lines.append(f"at {block.place}")
        for command in commands(block.text):
            mark = marks.get(bare(command))
            if mark is None:
                lines.append(command)
            else:
                missing.discard(mark["line"])
                lines.append(wrapped(command, mark))
            if bare(command):
                counts["not" if mark and "cannot" in mark else "run"] += 1
    return "\n".join(lines + ["finish", ""]), missing, counts


def prepare(document):
    """A directory that looks like the repository after a build, where what a document makes stays apart."""
    scratch = PLACE / document.replace("/", "-")
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in (".build", "home", "bin", "logs"):
        (scratch / folder).mkdir(parents=True)
    top = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in {line.split("/")[0] for line in top.splitlines()} | {"build"}:
        (scratch / name).symlink_to(ROOT / name)
    for configuration in ("debug", "release"):
        (scratch / ".build" / configuration).symlink_to(ROOT / ".build" / "debug")
    # What `swift build` would make was made before.
    (scratch / "bin" / "swift").write_text('#!/bin/sh\n[ "$1" = build ]\n')
    (scratch / "bin" / "swift").chmod(0o755)
    return scratch


def run(document, program, scratch):
    (scratch / "script").write_text(program)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OUROBOROS_")}
    environment |= {
        "HOME": str(scratch / "home"), "LC_ALL": "C.UTF-8", "SCRATCH": str(scratch), "HERE": str(HERE),
        "PATH": f"{scratch}/bin:{ROOT}/.build/debug:{os.environ['PATH']}", "MAKEFLAGS": "",
    }
    with open(scratch / "log", "w") as log:
        try:
            status = subprocess.run(
                ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                 "bash", str(HERE / "session.sh"), str(scratch / "script")],
                cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                timeout=LIMIT_SECONDS).returncode
        except subprocess.TimeoutExpired:
            status = f"none within {LIMIT_SECONDS} s"
    return status


def main(chosen):
    if os.geteuid() != 0:
        print("skipped: namespaces take root")
        return 0
    listed = tomllib.loads((HERE / "commands.toml").read_text())
    documents = [name for name in markdown.documents() if markdown.blocks(name, "sh")]
    failed = sorted(set(listed) - set(documents))
    for name in failed:
        print(f"commands.toml names {name}, which prints no commands", file=sys.stderr)
    passed = 0
    for document in chosen or documents:
        program, missing, counts = script(document, listed.get(document, {}))
        for line in sorted(missing):
            print(f"commands.toml: {document} does not print: {line}", file=sys.stderr)
        scratch = prepare(document)
        status = run(document, program, scratch)
        if missing or status != 0:
            failed.append(document)
        if status != 0:
            print(f"{document}: status {status}; the end of {scratch}/log:", file=sys.stderr)
            print("\n".join((scratch / "log").read_text(errors="replace").splitlines()[-25:]), file=sys.stderr)
        else:
            passed += 1
            print(f"{document}: {counts['run']} commands, {counts['not']} left out", flush=True)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
