"""The location of the code of a strategy."""

from typing import NamedTuple

_OWN_CODE = "slackoms_strategy.examples."


class StrategySource(NamedTuple):
    """A strategy `module:Class`. `path` is the file or the folder of the top-level module."""

    module: str
    class_name: str
    path: str

    @property
    def name(self) -> str:
        """The module and the class."""
        return f"{self.module}:{self.class_name}"

    @property
    def top_level(self) -> str:
        """The name of the top-level module."""
        return self.module.partition(".")[0]


def is_own_code(name: str) -> bool:
    """Return whether the strategy `module:Class` is an example of this project."""
    return name.startswith(_OWN_CODE)
