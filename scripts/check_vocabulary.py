"""Count names that are not standard terms, and British spellings in texts. The count may only decrease.

Run by `make check`. It fails if there are more such names than the limit in `vocabulary.toml`, and if there
are fewer, so that the limit follows the count. `--list` prints each name with its location.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("oms-api", "slack-bot", "e2e", "bench", "scripts")
VOCABULARY_FILE = Path(__file__).with_name("vocabulary.toml")
VOCABULARY = tomllib.loads(VOCABULARY_FILE.read_text())
METAPHORS, VAGUE_VERBS, VAGUE_NAMES, VAGUE_FIELD_NAMES, PARTICIPLES = (
    frozenset(VOCABULARY[key])
    for key in ("metaphors", "vague_verbs", "vague_names", "vague_field_names", "participles")
)
SPELLING = VOCABULARY["spelling"]
PAGES = "slack-bot/simulator/static"
PACKAGES_WITH_TEXTS = {"app", "simulator"}  # users read their texts
_BRITISH = re.compile(rf"\b(?:{'|'.join(SPELLING['words'])})\b", re.IGNORECASE)


class Finding(NamedTuple):
    """A name or text that breaks a rule, its location, and the offending word."""

    path: str
    line: int
    name: str
    word: str


def split_words(name: str) -> list[str]:
    """Split an identifier in snake case or camel case into lower-case words."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def find_metaphor(name: str) -> str | None:
    """Return the first metaphor in a name, or None."""
    return next((word for word in split_words(name) if word in METAPHORS), None)


def find_vague_verb(name: str) -> str | None:
    """Return the verb of a function's name if it does not say what the function does, or None."""
    name_parts = split_words(name)
    return name_parts[0] if name_parts and name_parts[0] in VAGUE_VERBS else None


def check_module(path: str) -> Iterator[Finding]:
    """Yield a finding for a module whose own name is a participle or a metaphor."""
    name = Path(path).stem
    for word in split_words(name):
        if word in METAPHORS or word in PARTICIPLES:
            yield Finding(path, 1, name, word)
            return


def find_stored_fields(tree: ast.Module) -> set[ast.AST]:
    """Return the declarations of fields whose names columns or the API define."""
    return {
        statement.target
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.target.id in VAGUE_FIELD_NAMES
    }


def check_variable(path: str, node: ast.AST) -> Iterator[Finding]:
    """Yield a finding if the node assigns or declares a variable of an application by a vague name."""
    if "app" not in Path(path).parts:
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE_NAMES:
        yield Finding(path, node.lineno, node.id, node.id)
    if isinstance(node, ast.arg) and node.arg in VAGUE_NAMES:
        yield Finding(path, node.lineno, node.arg, node.arg)


def check_spelling(path: str, node: ast.Constant) -> Iterator[Finding]:
    """Yield a finding for each British spelling in a text or docstring that users or developers read."""
    is_read = not PACKAGES_WITH_TEXTS.isdisjoint(Path(path).parts) and path not in SPELLING["exceptions"]
    if is_read and isinstance(node.value, str):
        yield from find_british_spellings(path, node.value, node.lineno)


def find_british_spellings(path: str, text: str, first_line: int = 1) -> Iterator[Finding]:
    """Yield a finding for each British spelling in a text that begins at `first_line`."""
    for match in _BRITISH.finditer(text):
        line = first_line + text.count("\n", 0, match.start())
        yield Finding(path, line, match[0], "write the US spelling")


def check_source(path: str, source: str) -> Iterator[Finding]:
    """Yield a finding for each name and text of a module that breaks a rule."""
    yield from check_module(path)
    tree = ast.parse(source)
    stored_fields = find_stored_fields(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            word = find_metaphor(node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # a test's name is a sentence, in which any verb may occur
            is_test = node.name.startswith("test_")
            word = None if is_test else find_metaphor(node.name) or find_vague_verb(node.name)
        elif isinstance(node, ast.Constant):
            yield from check_spelling(path, node)
            continue
        elif node in stored_fields:
            continue
        else:
            yield from check_variable(path, node)
            continue
        if word:
            yield Finding(path, node.lineno, node.name, word)


def find_all(root: Path) -> list[Finding]:
    """Return the findings of all Python files except migrations, and of the pages of the simulator."""
    findings: list[Finding] = []
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*.py")):
            if "migrations" not in file.parts and not any(part.startswith(".") for part in file.parts):
                findings += check_source(str(file.relative_to(root)), file.read_text())
    for file in sorted((root / PAGES).glob("*.*")):
        if file.suffix in {".js", ".css", ".html"}:
            findings += find_british_spellings(str(file.relative_to(root)), file.read_text())
    return findings


def compare(count: int, limit: int) -> str | None:
    """Return the remedy if the count differs from the limit, or None."""
    summary = f"{count} names or spellings are not standard terms"
    if count > limit:
        return f"{summary}; {limit} are allowed. List them with --list, and rename the new ones."
    if count < limit:
        return f"{summary}, fewer than {limit}. Set the limit in {VOCABULARY_FILE.name} to {count}."
    return None


def main(arguments: list[str]) -> int:
    """Print the count or the findings. Return 1 if the count differs from the limit."""
    findings = find_all(ROOT)
    if "--list" in arguments:
        for finding in findings:
            print(f"{finding.path}:{finding.line}: {finding.name} ({finding.word})")
    problem = compare(len(findings), VOCABULARY["limit"])
    print(problem or f"Names that are not standard terms: {len(findings)}.")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
