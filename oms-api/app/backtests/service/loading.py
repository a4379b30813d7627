"""Loads the class of a strategy by its name, `module:Class`."""

import hashlib
import inspect
import sys
from collections.abc import Mapping
from importlib import import_module

from app.backtests.errors import InvalidBacktest
from slackoms_strategy import InvalidParameter, Strategy


def load_strategy(name: str) -> type[Strategy]:
    """Return the class. Raise InvalidBacktest if there is none."""
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


def create_strategy(owner: type[Strategy], parameters: Mapping[str, str]) -> Strategy:
    """Return a strategy with its parameters. Raise InvalidBacktest if one is wrong."""
    try:
        return owner(**parameters)
    except InvalidParameter as error:
        raise InvalidBacktest(str(error)) from None


def find_code_path(owner: type) -> str:
    """Return the file of the class, or the folder of its top-level package."""
    module = sys.modules.get(owner.__module__.partition(".")[0])
    folders = list(getattr(module, "__path__", ()))
    return folders[0] if folders else getattr(module, "__file__", None) or ""


def compute_code_hash(owner: type[Strategy]) -> str:
    """Return the hash of the module that defines the strategy, and of its name."""
    module = inspect.getmodule(owner)
    return hash_code(owner.__qualname__, inspect.getsource(module or owner))


def hash_code(class_name: str, source: str) -> str:
    """Return the hash of a strategy's name and the text of its module."""
    return hashlib.sha256(f"{class_name}\n{source}".encode()).hexdigest()
