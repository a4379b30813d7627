"""Check that docstrings, comments and documents name only what exists in the code.

Run by `make check`. It reports

- a word between backquotes that is no name in the code and occurs in none of its strings;
- "`name` is" in a function's docstring, if neither the function nor a class that its module uses has the
  name: then the parameter has another name now. "as in `name`" must be a name of the module;
- a function's docstring that begins with the name of a class instead of a verb, and an article that does not
  fit the next word: both happen when a name is replaced everywhere;
- a class after "Raises" that no module defines or imports, and "Raise" in a sentence after the first;
- a class, constant or function in the documents for developers that does not exist, or not in the file or
  class that they name.
"""

import ast
import builtins
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
APPLICATIONS = ("oms-api/app", "slack-bot/app")
SOURCES = ("oms-api", "slack-bot", "e2e", "bench", "scripts")
DOCUMENTS = ("CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/how-it-works.md")
DECISIONS = "docs/adr"
FIRST_CHECKED_DECISION = "0026"  # older records name the code of their time
MIN_LENGTH = 4  # shorter words are mostly examples, such as a symbol
# Names in other programs, and examples, which the code does not contain.
FOREIGN_NAMES = frozenset(
    {"BTCUSD", "FOLDER", "correction1", "correction2", "is_global", "model_construct", "not_in_channel"}
    | {"pg_stat_activity", "sock_filter", "charts", "caller"}
)
_QUOTED = re.compile(r"`([^`\n]+)`")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_SUBJECT = re.compile(r"`([a-z_]+)` (?:is|are)\b")
_REFERENCE = re.compile(r"as in `(\w+)`")
_NAME_IN_FILE = re.compile(r"`(\w+)` in `([\w/.-]+\.py)`")
_CLASS_OR_CONSTANT = re.compile(r"`([A-Z][a-z]+[A-Z]\w*|[A-Z]{2,}_[A-Z_]+)`")
_FUNCTION = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
_DOTTED_NAME = re.compile(r"`(?:\w+\.)*([A-Za-z_]\w*)\.([A-Za-z_]\w*)`")
_ERROR = r"`?(?:\w+\.)*[A-Z]\w+`?"
_RAISED = re.compile(rf"\b[Rr]aise[sd]?\s+(?:an?\s+)?({_ERROR}(?:(?:,|,?\s+and|,?\s+or)\s+{_ERROR})*)")
_IMPERATIVE = re.compile(r"(?<=[.;:)`])\s+Raise\s")
_WRONG_ARTICLE = re.compile(
    r"\b(?:an (?!hour|hono|xlsx|xml|sse\b|sql|mtls|html|http)[bcdfghjklmnpqrstvwxyz][a-z]+"
    r"|a (?!one|once|us|uni|uti|url|utc|eu)[aeiou][a-z]+)\b"
)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Finding(NamedTuple):
    """A text that names something that does not exist, or that was damaged."""

    path: str
    line: int
    problem: str


class Text(NamedTuple):
    """A docstring or a comment."""

    line: int
    text: str


class Module(NamedTuple):
    """A parsed source file with its docstrings and comments."""

    path: str
    tree: ast.Module
    texts: list[Text]
    names: set[str]  # identifiers, and words of its strings other than docstrings


class Code(NamedTuple):
    """The names of the code that texts may refer to."""

    names: set[str]
    fields: dict[str, set[str]]  # of classes, by the name of the class
    classes: set[str]  # and other names that modules import, use as attributes, or find in Python


def parse_module(path: str, source: str) -> Module:
    """Parse a source file."""
    tree = ast.parse(source)
    docstrings = list(_find_docstrings(tree))
    values = {text for _, text in docstrings}
    texts, names = [Text(*docstring) for docstring in docstrings], set(_WORD.findall(path))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            texts.append(Text(token.start[0], token.string))
        elif token.type == tokenize.NAME:
            names.add(token.string)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in values:
            names.update(_WORD.findall(node.value))
    return Module(path, tree, texts, names)


def _find_docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                yield node.body[0].lineno, docstring


def collect_code(modules: Iterable[Module]) -> Code:
    """Collect the names of the modules."""
    code = Code(set(), defaultdict(set), set(dir(builtins)))
    for module in modules:
        code.names.update(module.names)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                members = (item for item in node.body if isinstance(item, ast.AnnAssign | Function))
                code.fields[node.name].update(map(_get_member_name, members))
                code.classes.add(node.name)
            elif isinstance(node, ast.alias):
                code.classes.add(node.asname or node.name)
            elif isinstance(node, ast.Attribute):
                code.classes.add(node.attr)
    return code


def _get_member_name(member: ast.AnnAssign | Function) -> str:
    return ast.unparse(member.target) if isinstance(member, ast.AnnAssign) else member.name


def check_module(module: Module, code: Code) -> Iterator[Finding]:
    """Yield a finding for each text of the module that is out of date or damaged."""
    for text in module.texts:
        unknown = [*_find_unknown_names(text.text, code), *_find_unknown_references(text.text, module)]
        for problem in [*unknown, *_find_wrong_articles(text.text)]:
            yield Finding(module.path, text.line, problem)
    fields = FOREIGN_NAMES.union(*(code.fields[name] for name in module.names if name in code.fields))
    for node in ast.walk(module.tree):
        if isinstance(node, Function) and (docstring := ast.get_docstring(node)):
            for problem in _check_function(node, docstring, code, fields):
                yield Finding(module.path, node.lineno, problem)


def _find_unknown_names(text: str, code: Code) -> Iterator[str]:
    for quoted in _QUOTED.findall(text):
        for word in _WORD.findall(quoted):
            is_checked = len(word) >= MIN_LENGTH and not word.endswith("_") and word not in FOREIGN_NAMES
            if is_checked and word not in code.names:
                yield f"`{quoted}`: nothing in the code is named {word}"


def _find_unknown_references(text: str, module: Module) -> Iterator[str]:
    for name in _REFERENCE.findall(text):
        if name not in module.names:
            yield f"as in `{name}`: nothing in this module is named {name}"


def _find_wrong_articles(text: str) -> Iterator[str]:
    for article in _WRONG_ARTICLE.findall(text):
        yield f'"{article}": the article does not fit'


def _check_function(function: Function, docstring: str, code: Code, fields: frozenset[str]) -> Iterator[str]:
    first = docstring.split(maxsplit=1)[0]
    if first in code.fields and any(letter.isupper() for letter in first[1:]):
        yield f"the docstring of {function.name} begins with the class {first} instead of a verb"
    yield from _find_unknown_errors(docstring, code)
    used_names = _find_used_names(function) | fields
    for name in _SUBJECT.findall(docstring):
        if name not in used_names:
            yield f"the docstring of {function.name} describes `{name}`, which the function does not have"


def _find_unknown_errors(docstring: str, code: Code) -> Iterator[str]:
    if _IMPERATIVE.search(docstring):
        yield 'write "Raises" after the first sentence'
    for errors in _RAISED.findall(docstring):
        for name in _WORD.findall(errors):
            if name[0].isupper() and name not in code.classes:
                yield f"no class is named {name}"


def _find_used_names(function: Function) -> set[str]:
    docstring, names = ast.get_docstring(function, clean=False), set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            names.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != docstring:
            names.update(_WORD.findall(node.value))
    return names


def check_document(path: str, text: str, sources: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each name in a document that the sources, by path, do not have."""
    names = {name for source in sources.values() for name in _WORD.findall(source)}
    for number, line in enumerate(text.splitlines(), 1):
        for name in [*_CLASS_OR_CONSTANT.findall(line), *_FUNCTION.findall(line)]:
            if name not in names and name not in FOREIGN_NAMES:
                yield Finding(path, number, f"`{name}`: nothing in the code is named so")
        for name, file in _NAME_IN_FILE.findall(line):
            named_sources = [source for other, source in sources.items() if other.endswith(f"/{file}")]
            if not any(re.search(rf"\b{name}\b", source) for source in named_sources):
                yield Finding(path, number, f"`{name}`: {file} has no such name")
        for owner, name in _DOTTED_NAME.findall(line):
            is_checked = name != "py" and owner not in FOREIGN_NAMES
            if is_checked and not any(
                _has_member(source, file, owner, name) for file, source in sources.items()
            ):
                yield Finding(path, number, f"`{owner}.{name}`: {owner} has no such name")


def _has_member(source: str, path: str, owner: str, name: str) -> bool:
    """Return whether a file is or defines the owner, a module, class or table, and defines the name."""
    parts = path.split("/")
    is_owner = bool({owner, f"{owner}.py"} & {*parts})
    if not is_owner and not re.search(rf"\bclass {owner}\b|\"{owner}\"", source):
        return False
    definition = rf"\b(?:def|class) {name}\b|^ *(?:self\.)?{name}\b *[:=]"
    return bool({name, f"{name}.py"} & {*parts}) or bool(re.search(definition, source, re.MULTILINE))


def find_files(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """Return the sources of the Python files in the folders by path, without migrations."""
    files = (file for folder in folders for file in sorted((root / folder).rglob("*.py")))
    inside = {file.relative_to(root): file for file in files}
    return {
        path.as_posix(): file.read_text()
        for path, file in inside.items()
        if "migrations" not in path.parts and not any(part.startswith(".") for part in path.parts)
    }


def find_all(root: Path) -> list[Finding]:
    """Return the findings of the applications and of the documents for developers."""
    modules = [parse_module(path, source) for path, source in find_files(root, APPLICATIONS).items()]
    sources = find_files(root, SOURCES)
    code = collect_code(modules)
    code.names.update(name for path in sources for name in _WORD.findall(path))
    findings = [finding for module in modules for finding in check_module(module, code)]
    for document in [*DOCUMENTS, *_list_decisions(root)]:
        findings += check_document(document, (root / document).read_text(), sources)
    return findings


def _list_decisions(root: Path) -> list[str]:
    files = sorted((root / DECISIONS).glob("[0-9]*.md"))
    return [f"{DECISIONS}/{file.name}" for file in files if file.name >= FIRST_CHECKED_DECISION]


def main() -> int:
    """Print the findings. Return 1 if there are any."""
    findings = find_all(ROOT)
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.problem}")
    print(f"Texts that do not fit the code: {len(findings)}.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
