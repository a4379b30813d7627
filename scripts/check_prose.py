"""Check the prose of the documents: banned words, empty phrases and sentences that are too long.

Run by `make check`. The rules are those of `vocabulary.toml`. Code blocks, inline code and links' targets are
not prose.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {"docs/errors.md"}  # sentences of the code and of `errors.toml`: only the spelling is checked
VOCABULARY = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text())
MAX_WORDS = VOCABULARY["prose"]["max_words_in_a_sentence"]
SPELLING = {
    phrase: f"US spelling: {spelling}" for phrase, spelling in VOCABULARY["spelling"]["words"].items()
}
PHRASES = VOCABULARY["prose"]["phrases"] | SPELLING
_CODE_BLOCK = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`[^`\n]*`")
_TARGET = re.compile(r"\]\([^)]*\)")
_BLOCK_START = re.compile(r"^\s*([-*|#>]|\d+\.|\[|    |$)")
_SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+")
_WORD = re.compile(r"[A-Za-z][\w'-]*")


class Finding(NamedTuple):
    """A place in a document that breaks a rule."""

    path: str
    line: int
    problem: str


def check_text(path: str, text: str) -> Iterator[Finding]:
    """Yield a finding for each banned phrase and each sentence that is too long."""
    prose = _remove_code(text)
    yield from check_phrases(path, prose, SPELLING if path in GENERATED else PHRASES)
    if path in GENERATED:
        return
    for number, block in _split_blocks(prose):
        for sentence in _SENTENCE_END.split(block):
            word_count = len(_WORD.findall(sentence))
            if word_count > MAX_WORDS:
                problem = f"a sentence of {word_count} words; {MAX_WORDS} are allowed: {sentence[:60]}…"
                yield Finding(path, number, problem)


def check_phrases(path: str, prose: str, phrases: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each line with a phrase. `phrases` contains what to write instead of each."""
    for phrase, advice in phrases.items():
        pattern = re.compile(rf"\b(?:{phrase})\b", re.IGNORECASE)
        for number, line in enumerate(prose.splitlines(), 1):
            if pattern.search(line):
                yield Finding(path, number, f"{phrase!r} is not plain English: {advice}")


def _remove_code(text: str) -> str:
    """Return the text without code and link targets. The numbers of its lines stay the same."""
    without = _CODE_BLOCK.sub(lambda match: "\n" * match[0].count("\n"), text)
    return _TARGET.sub("]", _INLINE.sub("code", without))


def _split_blocks(prose: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, list items and table cells, each with the number of its first line."""
    first, lines = 1, list[str]()
    for number, line in enumerate([*prose.splitlines(), ""], 1):
        if _BLOCK_START.match(line) and lines:
            yield first, " ".join(lines)
            lines = []
        if line.lstrip().startswith("|"):
            yield from ((number, cell) for cell in line.split("|"))
        elif line.strip():
            first = first if lines else number
            lines.append(line.strip())


def find_documents(root: Path) -> list[Path]:
    """Return the Markdown documents of the project."""
    files = sorted(root.rglob("*.md"))
    inside = (file.relative_to(root) for file in files)
    return [
        root / file
        for file in inside
        if not any(part.startswith(".") or part == "node_modules" for part in file.parts)
    ]


def main() -> int:
    """Print the findings. Return 1 if there are any."""
    findings = [
        finding
        for file in find_documents(ROOT)
        for finding in check_text(file.relative_to(ROOT).as_posix(), file.read_text())
    ]
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.problem}")
    print(f"Problems in the prose of documents: {len(findings)}.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
