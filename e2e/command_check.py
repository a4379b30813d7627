"""Check a command of a document: its target, file, module or folder is there."""

import re
import shlex
from pathlib import Path

from documents import ROOT

# Programs that a document may call without more being checked of them here.
PLAIN = {"git", "docker", "ngrok", "cloudflared", "openssl", "psql", "pg_dump", "pg_restore", "createdb"}
PLAIN |= {"export", "source", ".", "kill", "sudo", "apt-get", "brew", "tar", "cat", "less", "open", "sed"}
PLAIN |= {"grep", "ls", "jq", "curl", "pip", "pytest", "sqlite3", "printf", "head", "sha256sum"}
MODULES = {"venv", "pip", "pytest", "json.tool", "coverage", "mypy", "playwright"}
# &&, ||, ; and | where they stand outside of quotes.
SEPARATOR = re.compile(r"\s*(?:&&|\|\||;|\|)\s*(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)")

SUBSTITUTION = re.compile(r"^\w+=\"?\$\((.*)\)\"?$", re.DOTALL)


def examined(command: str, folder: Path) -> tuple[Path, str]:
    """Return the folder after a command given in `folder`, and what is wrong with it, or ""."""
    problem = ""
    for part in SEPARATOR.split(SUBSTITUTION.sub(r"\1", command)):
        words = _without_assignments(shlex.split(part.strip("(){} "), comments=True))
        if not words:
            continue
        if words[0] == "cd":
            folder, problem = _entered(folder, words[1], problem)
        else:
            problem = problem or _problem_with(words, folder)
    return folder, problem


def _without_assignments(words: list[str]) -> list[str]:
    while words and re.match(r"[A-Z_a-z][A-Z_a-z0-9]*=", words[0]):
        words = words[1:]
    return words


def _entered(folder: Path, name: str, problem: str) -> tuple[Path, str]:
    place = next((base / name for base in (folder, ROOT) if (base / name).is_dir()), None)
    if place:
        return place.resolve(), problem
    cloned = name.lower() == "slackoms"  # the folder that `git clone` made
    return folder, problem or ("" if cloned else "no such folder")


def _problem_with(words: list[str], folder: Path) -> str:
    program, arguments = Path(words[0]).name, words[1:]
    if program in {"python", "python3"}:
        return _problem_with_python(arguments, folder)
    checks = {"make": _problem_with_make, "uvicorn": _problem_with_uvicorn, "cp": _problem_with_copy}
    if program in checks:
        return checks[program](arguments, folder)
    venv_tool = words[0].startswith((".venv/bin/", "../.venv/bin/"))
    known = program in PLAIN or venv_tool
    return "" if known or (folder / words[0]).is_file() else "an unknown program: no check here knows it"


def _problem_with_make(arguments: list[str], _folder: Path) -> str:
    targets = [word for word in arguments if "=" not in word and not word.startswith("-")]
    text = (ROOT / "Makefile").read_text()
    missing = [name for name in targets if not re.search(rf"^{re.escape(name)}:", text, re.MULTILINE)]
    return f"no target {missing}" if missing else ""


def _problem_with_python(arguments: list[str], folder: Path) -> str:
    if not arguments or arguments[0] in {"-c", "-V", "--version"}:
        return ""
    if arguments[0] == "-m":
        return _problem_with_module(arguments[1], folder)
    return "" if _found(arguments[0], folder) else "no such file"


def _problem_with_module(module: str, folder: Path) -> str:
    if module in MODULES:
        return ""
    path = Path(*module.split("."))
    there = _found(path.with_suffix(".py"), folder) or _found(path / "__main__.py", folder)
    return "" if there else "no such module"


def _problem_with_uvicorn(arguments: list[str], folder: Path) -> str:
    return "" if arguments[0] == "app.main:app" and _found("app/main.py", folder) else "no such application"


def _problem_with_copy(arguments: list[str], folder: Path) -> str:
    return "" if _found(arguments[0], folder) else "nothing to copy"


def _found(path: Path | str, folder: Path) -> bool:
    return (folder / path).exists() or (ROOT / path).exists()
