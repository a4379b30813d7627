"""The files that describe a deployment: Dockerfiles, settings and their variables."""

import re
import runpy
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICES = {"oms-api": 8001, "slack-bot": 3000}
VARIABLE = re.compile(r"\$\{(\w+)(:[?-][^}]*)?\}")


def list_settings(service: str) -> set[str]:
    names = runpy.run_path(str(ROOT / service / "app" / "config.py"))["Settings"].__annotations__
    return {name.upper() for name in names if name != "model_config"}


def parse_dockerfile(service: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile as (name, argument) pairs. Continued lines are joined."""
    text = (ROOT / service / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def get_instruction(service: str, name: str) -> list[str]:
    return [argument for each, argument in parse_dockerfile(service) if each == name]


def read_image_environment(service: str) -> dict[str, str]:
    pairs = (
        assignment.partition("=")
        for line in get_instruction(service, "ENV")
        for assignment in shlex.split(line)
    )
    return {name: value for name, _, value in pairs}


def get_module_file(service: str, command: list[str]) -> Path:
    if command[1] == "-m":
        return ROOT / service / Path(*command[2].split(".")).with_suffix(".py")
    return ROOT / service / command[1]
