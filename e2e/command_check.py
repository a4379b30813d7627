"""Check that the target, file, module or folder of a documented command exists."""

import re
import shlex
from pathlib import Path

from documents import ROOT

# Programs whose arguments are not checked.
PLAIN = {"git", "docker", "ngrok", "cloudflared", "openssl", "psql", "pg_dump", "pg_restore", "createdb"}
PLAIN |= {"export", "source", ".", "kill", "sudo", "apt-get", "brew", "tar", "cat", "less", "open", "sed"}
PLAIN |= {"grep", "ls", "jq", "curl", "pip", "pytest", "sqlite3", "printf", "head", "sha256sum"}
MODULES = {"venv", "pip", "pytest", "json.tool", "coverage", "mypy", "playwright"}
# &&, ||, ; and | outside quotes.
SEPARATOR = re.compile(r"\s*(?:&&|\|\||;|\|)\s*(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)")

SUBSTITUTION = re.compile(r"^\w+=\"?\$\((.*)\)\"?$", re.DOTALL)


def check_command(command: str, folder: Path) -> tuple[Path, str]:
    """Return the folder after the command, and its error. The error is empty for a valid command.

    `folder` is the folder that the command runs in.
    """
    problem = ""
    for part in SEPARATOR.split(SUBSTITUTION.sub(r"\1", command)):
        tokens = _strip_assignments(shlex.split(part.strip("(){} "), comments=True))
        if not tokens:
            continue
        if tokens[0] == "cd":
            folder, problem = _enter_folder(folder, tokens[1], problem)
        else:
            problem = problem or _find_problem(tokens, folder)
    return folder, problem


def _strip_assignments(tokens: list[str]) -> list[str]:
    while tokens and re.match(r"[A-Z_a-z][A-Z_a-z0-9]*=", tokens[0]):
        tokens = tokens[1:]
    return tokens


def _enter_folder(folder: Path, name: str, problem: str) -> tuple[Path, str]:
    place = next((base / name for base in (folder, ROOT) if (base / name).is_dir()), None)
    if place:
        return place.resolve(), problem
    cloned = name.lower() == "slackoms"  # the folder that `git clone` creates
    return folder, problem or ("" if cloned else "no such folder")


def _find_problem(tokens: list[str], folder: Path) -> str:
    program, arguments = Path(tokens[0]).name, tokens[1:]
    if program in {"python", "python3"}:
        return _find_python_problem(arguments, folder)
    checks = {"make": _find_make_problem, "uvicorn": _find_uvicorn_problem, "cp": _find_copy_problem}
    if program in checks:
        return checks[program](arguments, folder)
    venv_tool = tokens[0].startswith((".venv/bin/", "../.venv/bin/"))
    is_known = program in PLAIN or venv_tool
    return "" if is_known or (folder / tokens[0]).is_file() else "an unknown program: no check here knows it"


def _find_make_problem(arguments: list[str], _folder: Path) -> str:
    targets = [word for word in arguments if "=" not in word and not word.startswith("-")]
    text = (ROOT / "Makefile").read_text()
    missing = [name for name in targets if not re.search(rf"^{re.escape(name)}:", text, re.MULTILINE)]
    return f"no target {missing}" if missing else ""


def _find_python_problem(arguments: list[str], folder: Path) -> str:
    if not arguments or arguments[0] in {"-c", "-V", "--version"}:
        return ""
    if arguments[0] == "-m":
        return _find_module_problem(arguments[1], folder)
    return "" if _is_file(arguments[0], folder) else "no such file"


def _find_module_problem(module: str, folder: Path) -> str:
    if module in MODULES:
        return ""
    path = Path(*module.split("."))
    there = _is_file(path.with_suffix(".py"), folder) or _is_file(path / "__main__.py", folder)
    return "" if there else "no such module"


def _find_uvicorn_problem(arguments: list[str], folder: Path) -> str:
    return "" if arguments[0] == "app.main:app" and _is_file("app/main.py", folder) else "no such application"


def _find_copy_problem(arguments: list[str], folder: Path) -> str:
    return "" if _is_file(arguments[0], folder) else "nothing to copy"


def _is_file(path: Path | str, folder: Path) -> bool:
    return (folder / path).exists() or (ROOT / path).exists()
