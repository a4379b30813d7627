"""Latches: who executed too often by itself in a symbol, and is stopped there until a person lets it go on.

As MiFID II's RTS 6, article 15(3), asks: after a set number of repeated executions a strategy is disabled
until a designated member of staff enables it again.
"""

from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

WINDOW = timedelta(minutes=1)  # in which executions are counted


class LatchScope(StrEnum):
    """What a latch stops: a strategy, or a key that nobody stands behind."""

    STRATEGY = "strategy"
    KEY = "key"


class Holder(NamedTuple):
    """Who trades a symbol by itself."""

    scope: LatchScope
    name: str
    symbol: str


class Latch(NamedTuple):
    """A latch: `executions` orders were filled within a minute where `most` were allowed. Instants are
    canonical text; it stands until `released_at`.
    """

    id: str
    holder: Holder
    executions: int
    most: int
    set_at: str
    released_at: str | None = None
    released_by: str | None = None
    reason: str | None = None


def holders_of(symbol: str, strategy: str | None, source: str, actor: str | None) -> list[Holder]:
    """Return who places such an order by itself: its strategy, and its key where no person is behind it.

    It counts for the first; a latch of each stops it, so that a key does not go on by naming a strategy.
    """
    strategies = [Holder(LatchScope.STRATEGY, strategy, symbol)] if strategy else []
    return strategies if actor is not None else [*strategies, Holder(LatchScope.KEY, source, symbol)]
