"""Parse the documents: code blocks, commands, links and tables of variables."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT_PATTERNS = (
    "*.md",
    "oms-api/*.md",
    "slack-bot/*.md",
    "slack-bot/simulator/*.md",
    "bench/*.md",
    "docs/**/*.md",
)
SHELLS = {"bash", "sh", "console", "shell"}
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
VARIABLE_CELL = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)`")
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document, with its language and text."""

    document: Path
    language: str
    text: str


def list_documents() -> list[Path]:
    """Return every document of the repository."""
    return sorted({path for place in DOCUMENT_PATTERNS for path in ROOT.glob(place)})


def list_blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    return [Block(document, language.lower(), text) for language, text in FENCE.findall(_read_text(document))]


def list_commands(block: Block) -> list[str]:
    """Return the commands of a shell block, without prompts and comments. Continued lines are joined."""
    if block.language not in SHELLS:
        return []
    text = block.text.replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in _strip_heredocs(text.splitlines())]
    return _join_quoted_lines([line for line in lines if line and not line.startswith("#")])


def list_links(document: Path) -> list[str]:
    """Return the relative links of a document, without anchors."""
    prose = FENCE.sub("", _read_text(document))
    targets = (target.partition("#")[0] for target in LINK.findall(prose))
    return [
        target for target in targets if target and "://" not in target and not target.startswith("mailto:")
    ]


def list_variables(document: Path) -> set[str]:
    """Return the variables in the first column of tables, written as `NAME`."""
    rows = [line.split("|") for line in _read_text(document).splitlines() if line.lstrip().startswith("|")]
    cells = [row[1] for row in rows if len(row) > 2]
    names = {name for cell in cells for name in VARIABLE_CELL.findall(cell)}
    return {name for name in names if "_" in name or name in {"HOST", "PORT"}}


def _read_text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def _strip_heredocs(lines: list[str]) -> list[str]:
    remaining_lines: list[str] = []
    end = ""
    for line in lines:
        if end:
            end = "" if line.strip() == end else end
            continue
        remaining_lines.append(line)
        match = HEREDOC.search(line)
        end = match[1] if match else ""
    return remaining_lines


def _join_quoted_lines(lines: list[str]) -> list[str]:
    """Join the lines of a command with quotes over several lines."""
    commands: list[str] = []
    unfinished = ""
    for line in lines:
        unfinished = f"{unfinished}\n{line}" if unfinished else line
        if _has_closed_quotes(unfinished):
            commands.append(unfinished)
            unfinished = ""
    return [*commands, unfinished] if unfinished else commands


def _has_closed_quotes(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True
