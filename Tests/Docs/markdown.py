"""The code blocks of the documentation, as a reader of CommonMark sees them."""

import dataclasses
import pathlib
import subprocess

import markdown_it

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Block:
    document: str
    line: int
    language: str
    text: str

    @property
    def place(self):
        return f"{self.document}:{self.line}"


def documents():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def blocks(document, language):
    tokens = markdown_it.MarkdownIt("commonmark").parse((ROOT / document).read_text())
    return [
        Block(document, token.map[0] + 1, language, token.content)
        for token in tokens
        if token.type == "fence" and token.info.strip() == language
    ]
