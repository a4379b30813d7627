"""Decide which strategies run in a sandbox."""

from collections.abc import Callable, Sequence
from functools import cached_property

from app.sandbox.errors import SandboxUnavailable
from app.sandbox.rules.layers import Layer, find_missing_layers
from app.sandbox.rules.sources import is_own_code
from app.sandbox.service.check import list_available_layers


class SandboxPolicy:
    """Decides for each strategy. `is_on` is the setting STRATEGY_SANDBOX."""

    def __init__(
        self, *, is_on: bool, list_layers: Callable[[], Sequence[Layer]] = list_available_layers
    ) -> None:
        self._is_on, self._list_layers = is_on, list_layers

    @cached_property
    def _missing(self) -> list[str]:
        return find_missing_layers(self._list_layers())

    def requires_sandbox(self, name: str) -> bool:
        """Return whether the strategy `module:Class` runs in a sandbox, and not in this process.

        The examples of this project run without one where the machine has too few layers of protection.
        Raises SandboxUnavailable for other code there.
        """
        if not self._is_on:
            return False
        if not self._missing:
            return True
        if is_own_code(name):
            return False
        raise SandboxUnavailable(
            f"Strategies need {' and '.join(self._missing)}, which this machine lacks. "
            "To run code that you trust without a sandbox, set STRATEGY_SANDBOX=off."
        )
