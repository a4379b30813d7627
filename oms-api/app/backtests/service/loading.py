"""Find the code of a strategy by its name, `module:Class`, and load its class."""

import hashlib
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from app.backtests.errors import InvalidBacktest
from app.sandbox.errors import SandboxError
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.sources import find_file, find_source
from slackoms_strategy import InvalidParameter, Strategy


class LocatedCode(NamedTuple):
    """The location of the code of a strategy, and the hash of its module."""

    source: StrategySource
    code_hash: str


def load_strategy(name: str) -> type[Strategy]:
    """Return the class. Raises InvalidBacktest if there is none."""
    module_name, _, class_name = name.partition(":")
    try:
        module = import_module(module_name)
        strategy = getattr(module, class_name)
    except (ImportError, AttributeError, ValueError) as error:
        problem = f"{name}: {error}. Name the strategy as MODULE:CLASS."
        raise InvalidBacktest(problem) from None
    if not (isinstance(strategy, type) and issubclass(strategy, Strategy)):
        raise InvalidBacktest(f"{name} is not a subclass of slackoms_strategy.Strategy.")
    return strategy


def create_strategy(owner: type[Strategy], parameters: Mapping[str, Any]) -> Strategy:
    """Return a strategy with its parameters. Raises InvalidBacktest if one is wrong."""
    try:
        return owner(**parameters)
    except InvalidParameter as error:
        raise InvalidBacktest(str(error)) from None


def get_code_path(owner: type) -> str:
    """Return the file of the class, or the folder of its top-level package."""
    module = sys.modules.get(owner.__module__.partition(".")[0])
    folders = list(getattr(module, "__path__", ()))
    return folders[0] if folders else getattr(module, "__file__", None) or ""


def locate_code(name: str) -> LocatedCode:
    """Find the code of the strategy `module:Class` without running it. Raises InvalidBacktest."""
    try:
        source = find_source(name)
        content = find_file(source).read_bytes()
    except (SandboxError, OSError, ValueError) as error:
        raise InvalidBacktest(str(error)) from None
    return LocatedCode(source, hash_code(source.class_name, content))


def hash_code(class_name: str, content: bytes) -> str:
    """Return the hash of a strategy's name and the bytes of its module."""
    return hashlib.sha256(f"{class_name}\n".encode() + content).hexdigest()
