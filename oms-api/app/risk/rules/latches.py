"""Latches: stop a strategy or API key that executed too often automatically in a symbol.

This implements MiFID II RTS 6, article 15(3): after a set number of repeated executions, a strategy is
disabled until a designated member of staff re-enables it.
"""

from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from app.timestamps import Timestamp

EXECUTION_WINDOW = timedelta(minutes=1)  # the period in which executions are counted


class LatchScope(StrEnum):
    """The kind of subject that a latch stops: a strategy, or an API key that acts for no person."""

    STRATEGY = "strategy"
    KEY = "key"


class LatchSubject(NamedTuple):
    """A strategy or API key that trades a symbol automatically."""

    scope: LatchScope
    name: str
    symbol: str


class Latch(NamedTuple):
    """A latch, active until `released_at`.

    `executions` orders were filled within a minute, and `max_executions` were allowed. Instants are
    canonical text.
    """

    id: str
    subject: LatchSubject
    executions: int
    max_executions: int
    set_at: Timestamp
    released_at: Timestamp | None = None
    released_by: str | None = None
    reason: str | None = None


def list_latch_subjects(
    symbol: str, strategy: str | None, source: str, actor: str | None
) -> list[LatchSubject]:
    """Return the strategy and the key that place such an order automatically.

    A key counts only if it acts for no person. Executions count for the first subject. A latch of any subject
    stops the order, so that a key cannot continue by naming a strategy.
    """
    strategies = [LatchSubject(LatchScope.STRATEGY, strategy, symbol)] if strategy else []
    return strategies if actor is not None else [*strategies, LatchSubject(LatchScope.KEY, source, symbol)]
